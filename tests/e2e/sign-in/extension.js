// A Microsoft sign-in without an account: signs in at once, and writes down what it was asked for.
const { appendFileSync } = require("node:fs");
const vscode = require("vscode");

exports.activate = function activate(context) {
  const changed = new vscode.EventEmitter();
  const sessions = [];
  const note = (what) => appendFileSync(process.env.SLIPWAY_TEST_SIGN_INS, `${JSON.stringify(what)}\n`);
  const provider = {
    onDidChangeSessions: changed.event,
    getSessions: (scopes) => {
      note({ asked: scopes ?? null });
      return Promise.resolve(sessions.filter((each) => scopes === undefined || scopes.every((scope) => each.scopes.includes(scope))));
    },
    createSession: (scopes) => {
      note({ signedIn: scopes });
      const claims = Buffer.from(JSON.stringify({ exp: Math.floor(Date.now() / 1000) + 3600 })).toString("base64url");
      const session = { id: String(sessions.length), accessToken: `e30.${claims}.dGVzdA`, account: { id: "tester", label: "tester@example.com" }, scopes };
      sessions.push(session);
      changed.fire({ added: [session], removed: [], changed: [] });
      return Promise.resolve(session);
    },
    removeSession: () => Promise.resolve(),
  };
  context.subscriptions.push(changed, vscode.authentication.registerAuthenticationProvider("microsoft", "Microsoft", provider));
};
