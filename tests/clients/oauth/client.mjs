// A connector logs in at a certified OpenID provider (npm oidc-provider): metadata, PKCE, iss, rotation of refresh
// tokens, device code, revocation. Usage: node client.mjs PATH_OF_SEKISHO
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { Provider } from 'oidc-provider';

const binary = process.argv[2];
const folder = mkdtempSync(join(tmpdir(), 'sekisho-oauth-'));
const data = join(folder, 'data');
const environment = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(SEKISHO|MCP)_/.test(name))),
  SEKISHO_HTTP_LISTEN: '127.0.0.1:0', SEKISHO_METRICS_LISTEN: '', SEKISHO_RATE_PER_MINUTE: '1000000',
  SEKISHO_RATE_BURST_LIMIT: '100000', SEKISHO_LOG_LEVEL: 'debug', SEKISHO_AUDIT_ARGUMENTS: 'sealed',
};
const patienceMs = 60_000;
let passed = 0;
let failed = 0;

async function check(name, run) {
  try {
    await run();
    passed += 1;
    console.log(`ok   ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}: ${error.stack ?? error}`);
  }
}

function must(condition, text) {
  if (!condition) throw new Error(text);
}

const arguments_ = (words) => ['--data-dir', data, ...words];
// Never in step: the provider runs in this process, and the command asks it.
const sekisho = async (...words) => (await promisify(execFile)(binary, arguments_(words), { env: environment })).stdout;

/** Starts a command and waits for a line of its output that `wanted` finds something in. */
async function begin(words, stream, wanted) {
  const child = spawn(binary, arguments_(words), { env: environment, stdio: ['pipe', 'pipe', 'pipe'] });
  child.said = '';
  const found = await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`nothing came of ${words}: ${child.said}`)), patienceMs);
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (text) => {
        child.said += text;
        const match = name === stream && child.said.match(wanted);
        if (match) { clearTimeout(late); resolve(match); }
      });
    }
    child.on('exit', () => { clearTimeout(late); reject(new Error(`${words} ended: ${child.said}`)); });
  });
  child.ended = new Promise((resolve) => child.on('exit', (code) => resolve(code)));
  return [child, found];
}

/** A browser that keeps cookies, follows redirects on the provider, and stops where it is sent elsewhere. */
class Browser {
  cookies = new Map();

  async go(url, form) {
    for (let hop = 0; hop < 12; hop += 1) {
      if (!url.startsWith(issuer)) return { url, text: '' };
      const headers = { cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ') };
      const reply = await fetch(url, { redirect: 'manual', headers, method: form ? 'POST' : 'GET', body: form && new URLSearchParams(form) });
      for (const cookie of reply.headers.getSetCookie()) {
        const [name, value] = cookie.split(';')[0].split(/=(.*)/);
        if (value) this.cookies.set(name, value); else this.cookies.delete(name);
      }
      const next = reply.headers.get('location');
      if (!next) return { url, text: await reply.text(), status: reply.status };
      url = new URL(next, url).href;
      form = undefined;
    }
    throw new Error(`too many redirects: ${url}`);
  }

  /** Answers the provider's questions until it sends the browser away, or has no more of them. */
  async consent(page) {
    for (let step = 0; step < 6; step += 1) {
      const action = page.text.match(/action="([^"]+)"/)?.[1];
      const prompt = page.text.match(/name="prompt" value="([^"]+)"/)?.[1];
      if (!page.url.startsWith(issuer) || !action || !prompt) return page;
      const answers = prompt === 'login' ? { prompt, login: 'ann', password: 'any' } : { prompt };
      page = await this.go(new URL(action, page.url).href, answers);
    }
    throw new Error('the provider asks without an end');
  }
}

const listener = createServer();
await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${listener.address().port}`;
const native = {
  application_type: 'native', token_endpoint_auth_method: 'none', response_types: ['code'],
  redirect_uris: ['http://127.0.0.1/callback'],
};
const deviceCode = 'urn:ietf:params:oauth:grant-type:device_code';
const provider = new Provider(issuer, {
  clients: [{ client_id: 'sekisho', grant_types: ['authorization_code', 'refresh_token', deviceCode], ...native }],
  features: { devInteractions: { enabled: true }, deviceFlow: { enabled: true }, revocation: { enabled: true } },
  issueRefreshToken: async () => true,
  rotateRefreshToken: true,
  pkce: { required: () => true },
  ttl: { AccessToken: 12, RefreshToken: 600, AuthorizationCode: 60, DeviceCode: 120, Grant: 600, Interaction: 120, Session: 600, IdToken: 60 },
});
const secrets = new Set();
for (const kind of ['access_token', 'refresh_token', 'authorization_code', 'device_code']) {
  provider.on(`${kind}.saved`, (token) => secrets.add(token.jti));
}
const grants = [];
let revoked = 0;
const refusals = [];
provider.on('grant.success', (context) => grants.push(context.oidc.params.grant_type));
provider.on('grant.revoked', () => { revoked += 1; });
provider.on('grant.error', (context, error) => refusals.push(`${error.error}: ${error.error_detail ?? ''}`));
listener.on('request', provider.callback());

const document = {
  openapi: '3.1.0', info: { title: 'Provider', version: '1' },
  paths: { '/me': { get: { operationId: 'get_me', summary: 'Who is it', responses: { 200: { description: '', content: { 'application/json': {} } } } } } },
};
const file = join(folder, 'provider.json');
writeFileSync(file, JSON.stringify(document));

await sekisho('init');
const [server, [, address]] = await begin(['serve'], 'stdout', /Serving MCP at (http\S+)/);
const token = readFileSync(join(data, 'http-token'), 'utf8').trim();

async function me() {
  const params = { name: 'op_get_me', arguments: {}, _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} } };
  const reply = await fetch(address, {
    method: 'POST', body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }),
    headers: {
      authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'op_get_me',
    },
  });
  const text = await reply.text();
  return JSON.parse(text.startsWith('{') ? text : text.split('\n').findLast((line) => line.startsWith('data:')).slice(5));
}

const subject = async () => (await me()).result?.structuredContent?.sub;

await check('a connector is bound by the metadata of its issuer', async () => {
  await sekisho('connector', 'add', 'op', file, '--base-url', issuer, '--loopback-http', '--yes');
  const said = await sekisho('connector', 'bind', 'op', '--as', 'oauth', '--client', 'sekisho', '--issuer', issuer, '--scope', 'openid');
  must(said.includes(`${issuer}/token`), said);
});

await check('a person logs in with a browser, by PKCE, and the answer names its issuer', async () => {
  const [login, [, url]] = await begin(['connector', 'login', 'op'], 'stderr', /^(http\S+)$/m);
  const browser = new Browser();
  const back = await browser.consent(await browser.go(url));
  must(back.url.startsWith('http://127.0.0.1:') && new URL(back.url).searchParams.get('iss') === issuer, back.url + back.text);
  must((await fetch(back.url)).status === 200, 'the command line does not listen');
  must((await login.ended) === 0, login.said + refusals);
  must((await subject()) === 'ann', JSON.stringify(await me()));
});

await check('tokens are refreshed before they end, and each refresh token is used once', async () => {
  const until = Date.now() + patienceMs;
  while (grants.filter((grant) => grant === 'refresh_token').length < 2) {
    must(Date.now() < until, `not refreshed in time: ${grants}`);
    must((await subject()) === 'ann', JSON.stringify(await me()));
    await new Promise((resolve) => { setTimeout(resolve, 200); });
  }
  must(refusals.length === 0, refusals.join());
});

await check('a logout revokes the tokens at the provider', async () => {
  must((await sekisho('connector', 'logout', 'op')).includes('Logged out'), 'not logged out');
  must(revoked > 0, 'the provider was not told');
  must(JSON.stringify(await me()).includes('Nobody is logged in'), 'still logged in');
});

await check('a person logs in with a code on another machine', async () => {
  const [login, [, page, code]] = await begin(['connector', 'login', 'op', '--device'], 'stderr', /open (\S+) and type (\S+)/);
  const browser = new Browser();
  let shown = await browser.go(page);
  const xsrf = (text) => text.match(/name="xsrf" value="([^"]+)"/)[1];
  shown = await browser.go(page, { xsrf: xsrf(shown.text), user_code: code });
  shown = await browser.go(page, { xsrf: xsrf(shown.text), user_code: code, confirm: 'yes' });
  await browser.consent(shown);
  must((await login.ended) === 0, login.said + refusals);
  must((await subject()) === 'ann', JSON.stringify(await me()));
});

await check('no token and no code is in a file, nor in what was said', async () => {
  server.kill('SIGTERM');
  await server.ended;
  must(secrets.size >= 6, `only ${secrets.size} secrets were given`);
  const files = readdirSync(data, { recursive: true }).map((name) => join(data, name)).filter((name) => statSync(name).isFile());
  for (const secret of secrets) {
    must(!server.said.includes(secret), 'the server said a secret');
    for (const name of files) must(!readFileSync(name).includes(secret), `a secret is in ${name}`);
  }
});

listener.close();
listener.closeAllConnections();
rmSync(folder, { recursive: true });
console.log(`oauth: ${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
