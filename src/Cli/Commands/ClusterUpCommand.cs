using System.CommandLine;
using Krewe.Abstractions;
using Krewe.Silo;

namespace Krewe.Cli;

/// <summary><c>krewe cluster up</c>: starts everything, waits until every silo serves, and leaves it running.</summary>
internal sealed class ClusterUpCommand : Command
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan StartLimit = TimeSpan.FromMinutes(5);

    private readonly UsualOption<int> _silos = Setting.Count("--silos", "Silos, each with a gateway.", 3, 1, 16);

    private readonly UsualOption<int> _port = Setting.Count(
        "--port", "Port of the first gateway; the others take those behind it.", SiloOptions.DefaultHttpPort, 1, 65000);

    private readonly Option<int?> _prefill = Setting.OptionalCount("--prefill", "Prefill workers. Default 1.", 0, 64);
    private readonly Option<int?> _decode = Setting.OptionalCount("--decode", "Decode workers. Default 2.", 0, 64);
    private readonly Option<int?> _mixed = Setting.OptionalCount(
        "--mixed", "Workers that do both. Default 0.", 0, 64);

    private readonly Option<string?> _redis = Setting.Text(
        "--redis", "HOST:PORT", "A Redis that runs. Default: one is started (redis-server).");

    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Model folder. Default: the bundled model.");

    private readonly Option<string?> _servedName = Setting.Text(
        "--served-model-name", "NAME", "What clients call the model. Default: the folder's name.");

    private readonly Option<string?> _folder = ClusterCommand.Folder();
    private readonly ClusterSettings _options = new();
    private readonly EngineSettings _engine = new();
    private readonly Terminal _terminal;

    public ClusterUpCommand(Terminal terminal)
        : base("up", "Start it, wait until it serves, and leave it running.")
    {
        _terminal = terminal;
        foreach (var option in (Option[])[_silos, _port, _prefill, _decode, _mixed, _redis, _model, _servedName,
            _folder])
            Add(option);
        _options.AddTo(this);
        _engine.AddTo(this);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        if (SiloHost.GrainHostName == "Embedded")
        {
            _terminal.Say("this build has the embedded grain host, which is one silo and does not pretend to be more; "
                + "'krewe serve' runs it.");
            return _terminal.RefuseUsage(["A cluster takes the Orleans host: GrainRuntime=Orleans ./krewe cluster up."],
                "cluster up");
        }

        var cluster = ClusterCommand.Open(result.GetValue(_folder));
        if (cluster.Read().Any(DetachedProcess.IsAlive))
            return _terminal.RefuseUsage(["A cluster runs here already; 'krewe cluster down' ends it."], "cluster up");
        var shape = Read(result);
        var errors = shape.Options.Validate().Concat(shape.Workers.Validate()).ToArray();
        if (errors.Length > 0) return _terminal.RefuseUsage(errors, "cluster up");
        if (shape.Redis is null) ClusterLauncher.FindRedis();

        cluster.Create();
        var launcher = new ClusterLauncher(cluster, shape);
        try
        {
            launcher.Start((worker, threads) => _engine.Read(result, worker, threads));
            if (await WaitAsync(launcher.Members, cancellationToken) is not { } failed)
            {
                Announce(launcher.Members, shape);
                return ExitCode.Success;
            }

            _terminal.Say($"{failed}; the cluster was not started. Logs: {cluster.LogOf("*")}");
            foreach (var line in LastLines(cluster, launcher.Members)) _terminal.Say(line);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            _terminal.Say("stopped before it was ready.");
        }

        await ClusterEnd.EndAsync(launcher.Members, TimeProvider.System, CancellationToken.None);
        cluster.Forget();
        return ExitCode.Failure;
    }

    private ClusterShape Read(ParseResult result) => new(
        _silos.Read(result),
        WorkerSet.From(
            result.GetValue(_prefill), result.GetValue(_decode) ?? (result.GetValue(_mixed) is > 0 ? null : 2),
            result.GetValue(_mixed)),
        _port.Read(result), result.GetValue(_redis),
        Path.GetFullPath(result.GetValue(_model) ?? BundledModel.Find()), result.GetValue(_servedName),
        _options.Read(result));

    /// <returns>Null when every silo serves, else what went wrong.</returns>
    private static async Task<string?> WaitAsync(
        IReadOnlyList<ClusterMember> members, CancellationToken cancellationToken)
    {
        using var http = new HttpClient();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(StartLimit);
        var readiness = new Readiness(http, TimeProvider.System);
        var ready = Task.WhenAll(members.Where(member => member.Kind == MemberKind.Silo)
            .Select(silo => readiness.WaitAsync(new Uri(silo.Address!), limit.Token)));
        while (!ready.IsCompleted)
        {
            if (members.FirstOrDefault(member => !DetachedProcess.IsAlive(member)) is { } ended)
            {
                await limit.CancelAsync();
                await ready.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                return $"{ended.Name} ended at once";
            }

            await Task.WhenAny(ready, Task.Delay(Look, TimeProvider.System, cancellationToken));
        }

        cancellationToken.ThrowIfCancellationRequested();
        await ready.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return ready.IsCompletedSuccessfully ? null : $"it did not serve within {StartLimit.TotalMinutes} minutes";
    }

    private static IEnumerable<string> LastLines(LocalCluster cluster, IEnumerable<ClusterMember> members) =>
        from member in members
        where !DetachedProcess.IsAlive(member) && File.Exists(cluster.LogOf(member.Name))
        let words = File.ReadLines(cluster.LogOf(member.Name)).LastOrDefault(line => line.Length > 0)
        where words is not null
        select $"[{member.Name}] {words}";

    private void Announce(IReadOnlyList<ClusterMember> members, ClusterShape shape)
    {
        foreach (var silo in members.Where(member => member.Kind == MemberKind.Silo))
            _terminal.Out.WriteLine($"{silo.Name} is ready at {silo.Address}/v1");
        _terminal.Out.WriteLine(
            $"{shape.Silos} silos, {shape.Workers}; a request may go to any of them. 'krewe cluster down' ends it.");
    }
}
