// Sign-in: answers the sidecar's token requests from VS Code's own Microsoft session. Tokens are never stored or logged.
import * as vscode from "vscode";
import { Attention } from "./attention";
import type { AzureCloud, Token, TokenParams } from "./protocol";
import { Problem, sentence } from "./sentences";
import { expiry } from "./tokens";

const MANAGEMENT: Readonly<Record<AzureCloud, string>> = {
  azure: "https://management.azure.com/.default",
  azureChina: "https://management.chinacloudapi.cn/.default",
  azureUSGovernment: "https://management.usgovcloudapi.net/.default",
};

/** A person may be asked to sign in only while a command of theirs runs; lists and the view never open a dialog. */
export class Credentials {
  private readonly attention = new Attention();

  /** Runs a command during which the person may be asked to sign in. */
  attended<T>(command: () => Promise<T>): Promise<T> {
    return this.attention.during(command);
  }

  /** Runs what goes on for hours: the person may be asked until it has begun. */
  attendedUntil<T>(begun: Promise<unknown>, command: () => Promise<T>): Promise<T> {
    return this.attention.until(begun, command);
  }

  /** Opens the sign-in, to the person's own tenant or to the one that is named; false when the person leaves it. */
  async signIn(cloud: AzureCloud, tenantId: string | null): Promise<boolean> {
    try {
      await vscode.authentication.getSession(provider(cloud), inTenant([MANAGEMENT[cloud]], tenantId), { createIfNone: true });
      return true;
    } catch (error) {
      if (isCancellation(error)) return false;
      throw error;
    }
  }

  async token({ cloud, scopes, tenantId, claims, silent }: TokenParams): Promise<Token> {
    const session = await this.session(cloud, inTenant(scopes, tenantId), claims, silent);
    if (session === undefined) {
      throw new Problem(sentence("You are not signed in to Azure."), sentence("Sign in when a command asks you to, or run it again."));
    }
    return { token: session.accessToken, expiresOn: expiry(session.accessToken) };
  }

  private async session(cloud: AzureCloud, scopes: readonly string[], claims: string | null, silent: boolean): Promise<vscode.AuthenticationSession | undefined> {
    if (!this.attention.isPaid || silent) return vscode.authentication.getSession(provider(cloud), scopes, { silent: true });
    try {
      // Claims mean that Azure wants a stronger sign-in than the session at hand.
      const how = claims === null ? { createIfNone: true } : { forceNewSession: { detail: vscode.l10n.t("Azure asks you to confirm who you are (multi-factor sign-in).") } };
      return await vscode.authentication.getSession(provider(cloud), scopes, how);
    } catch (error) {
      if (isCancellation(error)) return undefined;
      throw error;
    }
  }
}

/** VS Code's own way to name a tenant. */
function inTenant(scopes: readonly string[], tenantId: string | null): string[] {
  return tenantId === null ? [...scopes] : [...scopes, `VSCODE_TENANT:${tenantId}`];
}

function provider(cloud: AzureCloud): string {
  return cloud === "azureChina" || cloud === "azureUSGovernment" ? "microsoft-sovereign-cloud" : "microsoft";
}

/** VS Code says in English, and in no other way, that the person left the dialog. */
function isCancellation(error: unknown): boolean {
  return error instanceof vscode.CancellationError || (error instanceof Error && /cancel|did not consent/i.test(error.message));
}
