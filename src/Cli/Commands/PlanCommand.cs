using System.CommandLine;
using Krewe.Control.Routing;
using Krewe.Simulation;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary>
/// <c>krewe plan</c>: how many GPUs, in which shapes, for a workload and limits; checked by running the trace.
/// </summary>
internal sealed class PlanCommand : Command
{
    private readonly SimulateOptions _shared = new();
    private readonly Option<float?> _attainment = Setting.OptionalNumber(
        "--attainment", "Share of requests that must meet each limit. Default 0.9.", 0.01f, 0.9999f);

    private readonly Option<float?> _target = Setting.OptionalNumber(
        "--target-rate", "Requests a second. Default: the trace's own.", 1e-6f, 1e6f);

    private readonly UsualOption<NodeAffinity> _affinity = Setting.Choice(
        "--affinity", "high: any two workers pass KV fast enough; low: only inside a node.", NodeAffinity.High);

    private readonly UsualOption<int> _nodes = Setting.Count("--max-nodes", "Most nodes of one instance.", 1, 1, 64);
    private readonly UsualOption<int> _stages = Setting.Count(
        "--max-stages", "Most pipeline stages of one instance; Krewe's workers run 1.", 1, 1, 64);

    private readonly UsualOption<int> _perNode = Setting.Count("--gpus-per-node", "GPUs of a node.", 8, 1, 64);
    private readonly Option<float?> _price = Setting.OptionalNumber(
        "--gpu-hour", "Dollars a GPU hour. Default: a usual rental price of the GPU.", 0, 1e6f);

    private readonly Option<string?> _policy = Setting.OneOf(
        "--policy", "P",
        $"Routing of the check: one of {string.Join(", ", RoutingPolicies.Names)}. Default {RoutingPolicies.Default}.",
        RoutingPolicies.Names);

    private readonly UsualOption<int> _block = Setting.Count("--block-tokens", "Tokens of a KV block.", 16, 1, 4096);
    private readonly Option<string?> _json = Setting.Text("--json", "OUT", "Write the plan as JSON.");
    private readonly Option<string?> _helm = Setting.Text(
        "--helm", "OUT", "Write the plan as values for the Helm chart.");

    private readonly Terminal _terminal;

    public PlanCommand(Terminal terminal)
        : base("plan", "Plan the GPUs that a workload needs, and check the plan in the simulator.")
    {
        _terminal = terminal;
        _shared.AddTo(this);
        foreach (var option in new Option[]
        {
            _attainment, _target, _affinity, _nodes, _stages, _perNode, _price, _policy, _block, _json, _helm,
        })
        {
            Add(option);
        }

        SetAction((result, cancellation) => Task.FromResult(Run(result, cancellation)));
    }

    private int Run(ParseResult result, CancellationToken cancellation)
    {
        if (_shared.Mistake(result) is { } mistake) return _terminal.RefuseUsage([mistake], Name);
        var trace = _shared.Trace(result);
        if (result.GetValue(_target) is { } rate) trace = AtRate(trace, rate);
        var options = new PlanOptions
        {
            Hardware = _shared.Deployment(result),
            Workload = trace,
            Slo = _shared.Slo(result),
            Attainment = result.GetValue(_attainment) ?? 0.9,
            Affinity = _affinity.Read(result),
            NodesMax = _nodes.Read(result),
            StagesMax = _stages.Read(result),
            GpusPerNode = _perNode.Read(result),
            DollarsPerGpuHour = result.GetValue(_price),
            Seed = _shared.Seed(result),
        };
        PlannedCluster? planned = null;
        _terminal.AnsiError().Progress().Start(progress =>
        {
            var search = progress.AddTask("shapes", maxValue: 1).IsIndeterminate();
            var placement = PlacementPlanner.Plan(options, cancellation);
            search.Value = search.MaxValue;
            planned = PlannedCluster.Check(options, placement, CellTemplate(result), progress, cancellation);
        });
        PlanTable.Print(planned!, _terminal);
        if (result.GetValue(_json) is { } json) PlanFiles.WriteJson(json, planned!);
        if (result.GetValue(_helm) is { } helm) PlanFiles.WriteHelm(helm, planned!);
        return planned!.Best is null ? ExitCode.Failure : ExitCode.Success;
    }

    private CellOptions CellTemplate(ParseResult result) => new()
    {
        Mode = CellMode.Disagg,
        Deployment = _shared.Deployment(result),
        Policy = result.GetValue(_policy) ?? RoutingPolicies.Default,
        BlockTokens = _block.Read(result),
        Seed = _shared.Seed(result),
        Slo = _shared.Slo(result),
    };

    private static Trace AtRate(Trace trace, double rate) => trace.RatePerSecond > 0
        ? trace.Faster(rate / trace.RatePerSecond)
        : Arrivals.InOrder(trace, rate, 1, 1);
}
