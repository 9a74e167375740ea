using System.CommandLine;
using System.IO.Compression;
using System.Text.Json;
using Krewe.Control.Kv;
using Krewe.Control.Steps;
using Krewe.Simulation;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary><c>krewe bench prefix</c>: what each eviction order keeps findable of a trace's prompts.</summary>
internal sealed class BenchPrefixCommand : Command
{
    /// <summary>Step times of a 13 B model on one A100, as DistServe's authors fitted them: the ratio of a pair to a
    /// row is what matters here. Their c · Σlen² is 2c a pair.</summary>
    private static readonly StepTimeCoefficients Costs = StepTimeCoefficients.ColdStart with
    {
        StepMs = 18.10254647486372,
        RowMs = 0.1019122572698738,
        PairMs = 2 * 7.122264314252114e-06,
    };

    private static readonly int[] UsualBlocks = [1000, 3000, 10_000, 30_000, 100_000];

    private readonly Option<string?> _trace = Setting.InputFile(
        "--trace", "FILE", "Trace with hash_ids, one JSON object a line, as published with Mooncake; .gz is unpacked.");

    private readonly Option<int[]?> _blocks = new("--blocks")
    {
        Description = "Sizes of the cache in blocks. Default 1000 3000 10000 30000 100000.",
        HelpName = "N",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly UsualOption<int> _blockTokens = Setting.Count(
        "--block-tokens", "Tokens of one of the trace's blocks.", 512, 1, 1 << 20);

    private readonly Option<bool> _json = new("--json") { Description = "Print JSON instead of a table." };
    private readonly Terminal _terminal;

    public BenchPrefixCommand(Terminal terminal)
        : base("prefix", "Replay a trace's prompts on the prefix cache: hits and saved prefill by size and eviction.")
    {
        _terminal = terminal;
        _trace.Required = true;
        foreach (var option in (Option[])[_trace, _blocks, _blockTokens, _json]) Add(option);
        SetAction(Run);
    }

    private int Run(ParseResult result)
    {
        var file = result.GetValue(_trace)!;
        var trace = Read(file);
        var blockTokens = _blockTokens.Read(result);
        List<PrefixFigures> figures = [];
        foreach (var blocks in result.GetValue(_blocks) is { Length: > 0 } given ? given : UsualBlocks)
        {
            figures.Add(Replay(trace, blocks, blockTokens, "lru", new LruOrder(blocks)));
            figures.Add(Replay(
                trace, blocks, blockTokens, "reusecost", new ReuseCostOrder(blocks, blockTokens) { Costs = Costs }));
        }

        if (result.GetValue(_json))
        {
            _terminal.Out.WriteLine(
                JsonSerializer.Serialize(figures, ScenarioJson.Default.IReadOnlyListPrefixFigures));
            return ExitCode.Success;
        }

        var table = new Table().AddColumns("blocks", "eviction", "blocks found", "prefill time saved");
        foreach (var row in figures)
        {
            table.AddRow($"{row.Blocks}", row.Eviction, $"{row.HitRate:P2}", $"{row.SavedShare:P2}");
        }

        _terminal.Ansi().Write(table);
        return ExitCode.Success;
    }

    private static PrefixFigures Replay(
        PrefixTrace trace, int blocks, int blockTokens, string name, IEvictionOrder order)
    {
        var result = PrefixReplay.Run(trace, blocks, blockTokens, order, Costs);
        return new PrefixFigures(blocks, name, result.HitRate, result.SavedShare);
    }

    private static PrefixTrace Read(string file)
    {
        using var bytes = File.OpenRead(file);
        using var text = new StreamReader(
            file.EndsWith(".gz", StringComparison.Ordinal) ? new GZipStream(bytes, CompressionMode.Decompress) : bytes);
        return PrefixTrace.Read(text);
    }
}
