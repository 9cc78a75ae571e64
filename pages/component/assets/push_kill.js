// The kill's two ways out of the page at once: the server's own route, and the guard process beside it, which
// answers while native code holds the server's interpreter. The first that confirms the latch counts.

const KILL_LIMIT_MS = 2500;

// A page of this machine knows the guard's port; from elsewhere a proxy hands the path on (nginx.conf).
function killUrls(fixed) {
  const route = fixed.kill_url ?? "/kill";
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  if (!local) return [route, `${route}-guard`];
  return fixed.guard_port ? [route, `${location.protocol}//${location.hostname}:${fixed.guard_port}/kill`] : [route];
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
async function postKills(fixed) {
  try {
    return await Promise.any(killUrls(fixed).map(postKill));
  } catch (error) {
    throw error.errors?.[0] ?? error;
  }
}
