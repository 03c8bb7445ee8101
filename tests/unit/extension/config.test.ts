import assert from "node:assert/strict";
import { configured, sameGroup } from "../../../extension/config";

describe("the workspace's configuration", () => {
  it("names the app with comments, trailing commas and a byte order mark, as the sidecar reads it", () => {
    const text = '\uFEFF{\n  // ours, "quoted"\n  "ACA_APP_NAME": "app", /* and\n more */ "OTHER": ["https://x//y", ",]",],\n}\n';
    assert.equal(configured(text, "ACA_APP_NAME"), "app");
    assert.equal(configured('{"A": "\\\\", "ACA_APP_NAME": "a//b,}"}', "ACA_APP_NAME"), "a//b,}");
  });

  it("that is provisioned not yet, or no JSON, names none", () => {
    assert.equal(configured('{"ACA_APP_NAME": null}', "ACA_APP_NAME"), null);
    for (const text of ["", "[]", "null", '{"ACA_APP_NAME": "app"', '{"x": 1}', '{"ACA_APP_NAME": "app" /* }']) {
      assert.equal(configured(text, "ACA_APP_NAME"), undefined, text);
    }
  });

  it("means the same resource group whatever the case of its name", () => {
    assert.equal(sameGroup("My-Group", "my-group"), true);
    assert.equal(sameGroup("my-group", "my-group2"), false);
    assert.equal(sameGroup("my-group", null), false);
  });
});
