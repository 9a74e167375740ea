using System.CommandLine;
using System.Text.Json;

namespace Krewe.Cli;

/// <summary>
/// <c>krewe bench migrate</c>: the pause that a client sees when its running request moves to another worker, live, by
/// a blocking copy and by recomputing, over real processes and sockets.
/// </summary>
internal sealed class BenchMigrateCommand : Command
{
    private static readonly int[] UsualContexts = [250, 500, 1000, 2000, 4000];

    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Model folder. Default: the bundled model.");

    private readonly Option<string?> _contexts = Setting.Text(
        "--context-tokens", "N,N", "Context lengths to measure at. Default 250 to 4000, as far as they fit.");

    private readonly UsualOption<int> _repeats = Setting.Count(
        "--repeats", "Migrations of each kind and length.", 9, 1, 1000);

    private readonly Option<int?> _threads = Setting.OptionalCount(
        "--threads", "Compute threads of a worker. Default 1.", 1, 1024);

    private readonly Option<int?> _linkMbit = Setting.OptionalCount(
        "--link-mbit", "KV travels by TCP at this many Mbit a second, as between hosts. Default: as fast as it can.",
        1, 10_000_000);

    private readonly Option<bool> _noRecompute = new("--no-recompute")
    {
        Description = "Leave recomputing out, which takes most of the time.",
    };

    private readonly Option<bool> _json = new("--json") { Description = "Print JSON." };

    private readonly Terminal _terminal;

    public BenchMigrateCommand(Terminal terminal)
        : base("migrate", "The pause of a live migration beside a blocking copy and beside recomputing.")
    {
        _terminal = terminal;
        foreach (var option in (Option[])[_model, _contexts, _repeats, _threads, _linkMbit, _noRecompute, _json])
            Add(option);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        var folder = result.GetValue(_model) ?? BundledModel.Find();
        using var model = Models.ModelFolder.Open(folder, openWeights: false);
        var max = model.Config.MaxPositions - MigrateRound.OutputTokens;
        int[] contexts = result.GetValue(_contexts) is { } asked
            ? [.. asked.Split(',').Select(int.Parse)]
            : [.. UsualContexts.Where(tokens => tokens <= max)];
        var rounds = new List<MigrateFigures>();
        var limit = await LoopbackCopy.MeasureAsync(cancellationToken);
        if (result.GetValue(_linkMbit) is { } mbit) limit = Math.Min(limit, mbit * 1e6 / 8);
        foreach (var kind in Enum.GetValues<MigrateKind>())
        {
            if (kind == MigrateKind.Recompute && result.GetValue(_noRecompute)) continue;
            await using var cluster = await BenchCluster.StartAsync(
                folder, result.GetValue(_threads) ?? 1, kind == MigrateKind.Blocking, result.GetValue(_linkMbit),
                _terminal, cancellationToken);
            var round = new MigrateRound(cluster, kind, model.Config.VocabularySize);
            foreach (var context in contexts)
                rounds.Add(await round.MeasureAsync(context, _repeats.Read(result), cancellationToken));
        }

        var report = MigrateReport.From(model.Name, rounds, limit);
        if (result.GetValue(_json))
            _terminal.Out.WriteLine(JsonSerializer.Serialize(report, MigrateJson.Default.MigrateReport));
        else
            report.Print(_terminal);
        return ExitCode.Success;
    }
}
