# The console and its engine in one container; docs/deploy/docker.md has the commands. Volume: /data (journal, kill
# switch). Port: 8501. One container for one volume: a second engine on the same data refuses to start. The root file
# system may be read-only; only /data and /tmp are written.

FROM python:3.11-slim AS packages
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
    --require-hashes --only-binary :all: --requirement requirements.lock \
 && /opt/venv/bin/python -m pip uninstall --yes --quiet pip setuptools

FROM python:3.11-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DATA_DIR=/data
# The code belongs to root, the engine does not run as root: it can write to its data and nowhere else.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin console \
 && install -d -o console -g console -m 0750 /data
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY dashboard.py pyproject.toml ./
COPY .streamlit .streamlit
COPY engine engine
COPY pages pages
# The samples of the pages Sweep, Calibration and Replay, each by name: no recording comes along.
COPY data/replay.csv data/markets.json data/
COPY data/replay_sessions/practice-sample.csv data/replay_sessions/practice-sample.markets.json data/replay_sessions/
# COPY keeps the modes of the clone: one made under umask 077 would be root's alone to read. By a second copy of some 5 MB
# in this layer: `COPY --chmod` has one mode for files and folders alike, unless a newer frontend is fetched for each build.
RUN chmod -R u=rwX,go=rX /app \
 && python -m compileall -q dashboard.py engine pages
USER 10001
VOLUME /data
EXPOSE 8501
# 200 only while the engine's snapshots are fresh; a server that merely answers is not enough. Never by a proxy: Docker hands
# the one of its own settings to each container (http_proxy), and urlopen would ask that for this machine.
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s --retries=3 \
    CMD ["python", "-c", "from http.client import HTTPConnection as To; to = To('127.0.0.1', 8501, timeout=4); to.request('GET', '/healthz'); raise SystemExit(to.getresponse().status != 200)"]
STOPSIGNAL SIGTERM
# Exec form: the signal reaches the server itself, which then stops the engine in order. Reachable from other machines,
# so nobody is the operator without OPERATOR_PASSWORD_HASH (docs/access.md).
CMD ["python", "-m", "streamlit", "run", "dashboard.py", "--server.address=0.0.0.0", "--server.port=8501"]
