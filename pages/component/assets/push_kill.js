// The kill's two ways out of the page at once: the server's own route, and the guard process beside it, which
// answers while native code holds the server's interpreter. The first that confirms the latch counts.

const KILL_LIMIT_MS = 2500;

// A page of this machine hears the guard's port with every frame, for the guard may be up later than the page; from
// elsewhere a proxy hands the path on (nginx.conf).
function killUrls(fixed, engine) {
  const route = fixed.kill_url ?? "/kill";
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  if (!local) return [route, `${route}-guard`];
  const port = engine?.guard_port;
  // With the base path, if there is one: the pass of who signed in is a cookie of that path alone.
  return port ? [route, `${location.protocol}//${location.hostname}:${port}${route}`] : [route];
}

async function postKill(url) {
  // With the pass of who signed in: the guard has another port, which browsers call another origin.
  const signal = AbortSignal.timeout(KILL_LIMIT_MS);
  const options = { method: "POST", body: "kill button", credentials: "include", signal };
  const answer = await fetch(url, options);
  const json = (answer.headers.get("content-type") ?? "").startsWith("application/json");
  const body = json ? await answer.json() : {};
  if (!body.latched) throw new Error(body.error ?? `the kill route answered ${answer.status}`);
  return body;
}

// Returns the latch that is in force. Throws what the server's own route said when no way worked.
async function postKills(fixed, engine) {
  try {
    return await Promise.any(killUrls(fixed, engine).map(postKill));
  } catch (error) {
    throw error.errors?.[0] ?? error;
  }
}
