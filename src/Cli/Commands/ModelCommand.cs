using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Krewe.Models;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary><c>krewe model info DIR</c>: what a model folder holds, as a table or as JSON.</summary>
internal sealed class ModelCommand : Command
{
    public ModelCommand(Terminal terminal)
        : base("model", "Look at model folders.") => Add(new InfoCommand(terminal));

    private sealed class InfoCommand : Command
    {
        private readonly Argument<string?> _folder = Setting.OptionalArgument(
            "dir", "Model folder with config.json, tokenizer.json and safetensors. Default: the bundled model.");

        private readonly Option<bool> _json = new("--json") { Description = "Print JSON instead of a table." };
        private readonly Terminal _terminal;

        public InfoCommand(Terminal terminal)
            : base("info", "Check a model folder and say what it holds.")
        {
            _terminal = terminal;
            Add(_folder);
            Add(_json);
            SetAction(Run);
        }

        private int Run(ParseResult result)
        {
            using var model = ModelFolder.Open(result.GetValue(_folder) ?? BundledModel.Find());
            var summary = ModelSummary.Of(model);
            if (result.GetValue(_json))
                _terminal.Out.WriteLine(JsonSerializer.Serialize(summary, ModelJson.Default.ModelSummary));
            else
                PrintTable(summary);
            return ExitCode.Success;
        }

        private void PrintTable(ModelSummary model)
        {
            var table = new Table().HideHeaders().AddColumn("what").AddColumn("value");
            void Row(string what, string value) => table.AddRow(Markup.Escape(what), Markup.Escape(value));
            Row("model", model.Name);
            Row("folder", model.Folder);
            Row("architecture", model.Architecture);
            Row("parameters", $"{Number(model.Parameters)} in {Number(model.Tensors)} tensors");
            Row("weights", $"{model.WeightFormat}, {ByteSize.Format(model.WeightBytes)}");
            Row("layers", $"{model.Layers}, hidden size {model.HiddenSize}, SwiGLU {model.IntermediateSize}");
            Row("heads", $"{model.Heads} query, {model.KvHeads} key/value, of {model.HeadDim}");
            Row("vocabulary", $"{Number(model.VocabularySize)} rows, {Number(model.TokenizerSize)} tokens");
            Row("context", $"{Number(model.MaxContextTokens)} tokens");
            Row("KV memory", $"{ByteSize.Format(model.KvBytesPerToken)} a token");
            Row("chat template", model.HasChatTemplate ? "yes" : "none: /v1/completions only");
            Row("stop tokens", string.Join(", ", model.StopTokenIds));
            Row("fingerprint", model.Fingerprint);
            _terminal.Ansi().Write(table);
        }

        private static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
    }
}
