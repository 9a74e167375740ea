using System.CommandLine;
using Krewe.Control.Routing;
using Krewe.Simulation;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary>
/// <c>krewe simulate</c>: a cell of workers on a trace, per policy and rate; its subcommands are other simulators.
/// </summary>
internal sealed class SimulateCommand : Command
{
    private readonly SimulateOptions _shared = new();
    private readonly UsualOption<CellMode> _mode = Setting.Choice(
        "--mode", "Prefill and decode apart, or together.", CellMode.Disagg);

    private readonly UsualOption<int> _prefill = Setting.Count("--prefill", "Prefill workers.", 1, 0);
    private readonly UsualOption<int> _decode = Setting.Count(
        "--decode", "Decode workers; without roles all workers do both.", 1, 0);

    private readonly Option<string[]?> _policy = NameList.Option(
        "--policy",
        $"Routing: all, or some of {string.Join(", ", RoutingPolicies.Names)}. Default {RoutingPolicies.Default}.",
        RoutingPolicies.Names);

    private readonly Option<double[]?> _rateScale = SimulateOptions.Rates(
        "--rate-scale", "Arrivals so many times as fast; several give a curve. Default 1.");

    private readonly UsualOption<int> _block = Setting.Count("--block-tokens", "Tokens of a KV block.", 16, 1, 4096);
    private readonly UsualOption<int> _budget = Setting.Count(
        "--step-budget", "Most tokens of a step that decodes.", 2048, 1);

    private readonly UsualOption<int> _prefillBudget = Setting.Count(
        "--prefill-budget", "Most tokens of a step that only prefills.", 8192, 1);

    private readonly Option<int?> _capacity = Setting.OptionalCount(
        "--kv-tokens", "KV tokens of a worker. Default: what its memory leaves.", 1);

    private readonly Option<float?> _network = Setting.OptionalNumber(
        "--network-gbps", "Network of a worker, Gb/s. Default: the GPUs' share of their node's.", 0.001f, 1e6f);

    private readonly Option<float?> _share = Setting.OptionalNumber(
        "--prefill-share", "Share of the GPU for prefill in mode split. Default 0.6.", 0.01f, 0.99f);

    private readonly Option<string?> _outages = Setting.InputFile(
        "--outages", "FILE", "Workers that go and come: CSV t_ms,event,node with events add and remove.");

    private readonly Option<float?> _outageSpeed = Setting.OptionalNumber(
        "--outage-speed", "Play the outages so many times as fast. Default 1.", 0.001f, 1e6f);

    private readonly Option<string?> _json = Setting.Text("--json", "OUT", "Write every figure as JSON.");
    private readonly Option<string?> _csv = Setting.Text(
        "--csv", "OUT", "Write one line a request, times in ms (one policy and one rate).");

    private readonly Option<string?> _svg = Setting.Text("--svg", "OUT", "Write attainment against rate as a chart.");
    private readonly Terminal _terminal;

    public SimulateCommand(Terminal terminal)
        : base("simulate", "Simulate a cell of workers on a trace, in virtual time.")
    {
        _terminal = terminal;
        _shared.AddTo(this);
        foreach (var option in new Option[]
        {
            _mode, _prefill, _decode, _policy, _rateScale, _block, _budget, _prefillBudget, _capacity, _network, _share,
            _outages, _outageSpeed, _json, _csv, _svg,
        })
        {
            Add(option);
        }

        Add(new SimulateDistServeCommand(terminal));
        Add(new SimulateFaultsCommand(terminal));
        Add(new SimulateValidateCommand(terminal));
        Add(new SimulatePublishedCommand(terminal));
        SetAction((result, cancellation) => Task.FromResult(Run(result, cancellation)));
    }

    private int Run(ParseResult result, CancellationToken cancellation)
    {
        var options = Cell(result);
        var policies = result.GetValue(_policy) is { Length: > 0 } named ? named : [RoutingPolicies.Default];
        var scales = result.GetValue(_rateScale) is { Length: > 0 } given ? given : [1];
        var mistakes = Mistakes(result, options, policies.Length * scales.Length).ToArray();
        if (mistakes.Length > 0) return _terminal.RefuseUsage(mistakes, Name);
        var trace = _shared.Trace(result);
        var runs = (
            from scale in scales
            let scaled = scale == 1 ? trace : trace.Faster(scale)
            from policy in policies
            select new SimulatedRun(options with { Policy = policy }, scaled, scale)).ToArray();
        _terminal.Say(SimulateTable.Describe(options, trace));
        SimulatedRuns.RunAll(runs, _terminal, cancellation);
        SimulateTable.Print(runs, _terminal);
        if (result.GetValue(_json) is { } json) SimulateFiles.WriteJson(json, runs);
        if (result.GetValue(_csv) is { } csv) SimulateFiles.WriteCsv(csv, runs);
        if (result.GetValue(_svg) is { } svg) SimulateFiles.WriteChart(svg, runs);
        return ExitCode.Success;
    }

    /// <summary>What no trace can mend.</summary>
    private IEnumerable<string> Mistakes(ParseResult result, CellOptions options, int runs)
    {
        if (options is { Mode: CellMode.Disagg, PrefillWorkers: 0 } or { Mode: CellMode.Disagg, DecodeWorkers: 0 })
            yield return "--mode disagg needs --prefill 1 and --decode 1, or more.";
        else if (options.Workers == 0)
            yield return "The cell has no worker: give --prefill 1 or --decode 1, or more.";
        if (runs > 1 && result.GetResult(_csv) is not null)
            yield return $"--csv takes one --policy and one --rate-scale; here are {runs} runs.";
        if (_shared.Mistake(result) is { } mistake) yield return mistake;
    }

    private CellOptions Cell(ParseResult result) => new()
    {
        Mode = _mode.Read(result),
        Deployment = _shared.Deployment(result),
        PrefillWorkers = _prefill.Read(result),
        DecodeWorkers = _decode.Read(result),
        Seed = _shared.Seed(result),
        BlockTokens = _block.Read(result),
        StepBudgetTokens = _budget.Read(result),
        PrefillBudgetTokens = _prefillBudget.Read(result),
        CapacityTokens = result.GetValue(_capacity),
        NetworkBytesPerSecond = result.GetValue(_network) * 1e9 / 8,
        PrefillShare = result.GetValue(_share) ?? 0.6,
        Slo = _shared.Slo(result),
        Outages = result.GetValue(_outages) is { } file
            ? OutageReader.Read(file, _prefill.Read(result) + _decode.Read(result), result.GetValue(_outageSpeed) ?? 1)
            : [],
    };
}
