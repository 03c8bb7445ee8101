// Writes down which models Slipway offers to others, and what each answers to the question in SLIPWAY_TEST_QUESTION.
const { writeFileSync } = require("node:fs");
const vscode = require("vscode");

exports.activate = (context) => {
  context.subscriptions.push(
    vscode.commands.registerCommand("modelCaller.ask", async () => {
      const said = [];
      try {
        const models = await vscode.lm.selectChatModels({ vendor: "slipway" });
        for (const model of models) {
          const messages = [vscode.LanguageModelChatMessage.User(process.env.SLIPWAY_TEST_QUESTION)];
          const answer = await model.sendRequest(messages, { modelOptions: { temperature: 0, max_tokens: 48 } });
          const parts = [];
          for await (const part of answer.text) parts.push(part);
          said.push({ name: model.name, id: model.id, most: model.maxInputTokens, tokens: await model.countTokens("four"), parts });
        }
        writeFileSync(process.env.SLIPWAY_TEST_MODELS, JSON.stringify(said));
      } catch (error) {
        writeFileSync(process.env.SLIPWAY_TEST_MODELS, JSON.stringify({ problem: String(error), said }));
      }
    }),
  );
};
