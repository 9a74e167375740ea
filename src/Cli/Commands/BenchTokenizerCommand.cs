using System.CommandLine;
using System.Text;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Models;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary><c>krewe bench tokenizer</c>: text to tokens and back on one core, in bytes of UTF-8 a second.</summary>
internal sealed class BenchTokenizerCommand : Command
{
    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Folder with tokenizer.json. Default: the bundled model's.");

    private readonly Option<string?> _text = Setting.Text(
        "--text", "FILE", "UTF-8 text to encode, repeated to the size. Default: an invented one.");

    private readonly UsualOption<long> _size = Setting.Bytes("--size", "Bytes of text.", 8 << 20);

    private readonly UsualOption<int> _repeats = Setting.Count(
        "--repeats", "Rounds; the best counts.", 3, 1, 1000);

    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object instead of a table." };
    private readonly Terminal _terminal;

    public BenchTokenizerCommand(Terminal terminal)
        : base("tokenizer", "Text to tokens and back, on one core.")
    {
        _terminal = terminal;
        foreach (var option in (Option[])[_model, _text, _size, _repeats, _json]) Add(option);
        SetAction(Run);
    }

    private int Run(ParseResult result)
    {
        var tokenizer = Tokenizer.Load(result.GetValue(_model) ?? BundledModel.Find());
        var report = TokenizerBench.Run(
            tokenizer, TextOf(result), _repeats.Read(result), TimeProvider.System);
        if (result.GetValue(_json))
        {
            _terminal.Out.WriteLine(JsonSerializer.Serialize(report, BenchJson.Default.TokenizerReport));
            return ExitCode.Success;
        }

        var ansi = _terminal.Ansi();
        ansi.WriteLine($"{report.Bytes:N0} bytes, {report.Tokens:N0} tokens, best of {report.Repeats}");
        ansi.WriteLine($"encode {report.EncodeMegabytesPerSecond:0.0} MB/s, first time "
            + $"{report.FirstEncodeMegabytesPerSecond:0.0} MB/s, decode {report.DecodeMegabytesPerSecond:0.0} MB/s");
        foreach (var word in report.Words)
        {
            ansi.WriteLine($"one word of {word.Characters:N0} characters ({word.Kind}): "
                + $"{word.MegabytesPerSecond:0.0} MB/s, twice as long takes {word.TimeOfTwice:0.00} times as long");
        }

        return ExitCode.Success;
    }

    private string TextOf(ParseResult result)
    {
        var size = (int)Math.Clamp(_size.Read(result), 1, 1 << 30);
        if (result.GetValue(_text) is not { } file) return BenchText.OfBytes(size);
        if (!File.Exists(file)) throw new KreweException(ErrorCode.InvalidOptions, $"--text {file} does not exist.");
        var once = File.ReadAllText(file);
        if (once.Length == 0) throw new KreweException(ErrorCode.InvalidOptions, $"--text {file} is empty.");
        var text = new StringBuilder(size);
        for (var bytes = 0; bytes < size; bytes += Encoding.UTF8.GetByteCount(once)) text.Append(once);
        return text.ToString();
    }
}
