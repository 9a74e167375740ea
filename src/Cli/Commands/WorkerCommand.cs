using System.CommandLine;
using Krewe.Abstractions;
using Krewe.Workers;

namespace Krewe.Cli;

/// <summary><c>krewe worker</c>: one worker process, linked to the silos named.</summary>
internal sealed class WorkerCommand : Command
{
    private readonly Option<string?> _id = Setting.Text(
        "--id", "NAME", "Name, unique in the cluster. Default: the role, a dash and the process id.");

    private readonly UsualOption<WorkerRole> _role = Setting.Choice(
        "--role", "Phases that it takes.", WorkerRole.Mixed);


    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Model folder. Default: the bundled model.");

    private readonly Option<string?> _servedName = Setting.Text(
        "--served-model-name", "NAME", "The silo's name of the model. Default: the folder's name.");

    private readonly Option<string[]> _silos = new("--silo")
    {
        Description = "Link address of a silo; more than one may be given, the others are learnt.",
        HelpName = "HOST:PORT",
        Required = true,
    };

    private readonly UsualOption<int> _blockTokens = Setting.Count(
        "--block-tokens", "Token slots of one KV block, a multiple of 16.", 16, 16, 256);

    private readonly Option<string?> _dataHost = Setting.Text(
        "--data-host", "HOST", "Address at which other workers reach this one. Default 127.0.0.1.");

    private readonly UsualOption<int> _dataPort = Setting.Count(
        "--data-port", "Port of the data link; 0 takes a free one.", 0, 0, 65535);

    private readonly Option<bool> _supervised = new("--supervised")
    {
        Description = "Stop when standard input closes, as it does when the supervising process ends.",
        Hidden = true,
    };

    private readonly LinkTlsSettings _linkTls = new();
    private readonly EngineSettings _engine = new();
    private readonly TelemetrySettings _telemetry = new();
    private readonly Terminal _terminal;

    public WorkerCommand(Terminal terminal)
        : base("worker", "Start one worker and link it to a silo.")
    {
        _terminal = terminal;
        foreach (var option in (Option[])[_id, _role, _model, _servedName, _silos, _blockTokens, _dataHost, _dataPort,
            _supervised])
            Add(option);
        _linkTls.AddTo(this);
        _engine.AddTo(this);
        _telemetry.AddTo(this);
        Add(ConfigFile.Option());
        SetAction(RunAsync);
    }

    /// <summary>The options that a parsed command line stands for.</summary>
    public WorkerOptions Read(ParseResult result)
    {
        var role = _role.Read(result);
        var basis = new WorkerOptions
        {
            WorkerId = result.GetValue(_id) ?? $"{Setting.Name(role)}-{Environment.ProcessId}",
            Role = role,
            ModelDirectory = result.GetValue(_model) ?? BundledModel.Find(),
            ServedModelName = result.GetValue(_servedName),
            Silos = result.GetValue(_silos) ?? [],
            BlockTokens = _blockTokens.Read(result),
            DataHost = result.GetValue(_dataHost) ?? "127.0.0.1",
            DataPort = _dataPort.Read(result),
            LinkTls = _linkTls.Read(result),
        };
        return _engine.Read(result, basis, Environment.ProcessorCount);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        var options = Read(result);
        var errors = options.Validate().ToArray();
        if (errors.Length > 0) return _terminal.RefuseUsage(errors, Name);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        if (result.GetValue(_supervised)) StopWhenInputCloses(stop);
        using var logs = Logs.Create(result, _terminal, TimeProvider.System, options.WorkerId);
        using var telemetry = _telemetry.Start(result, "krewe-worker", options.WorkerId);
        return await WorkerHost.RunAsync(options, logs, TimeProvider.System, stop.Token);
    }

    /// <summary>A thread of its own, because a read of standard input cannot be cancelled.</summary>
    private void StopWhenInputCloses(CancellationTokenSource stop) => new Thread(() =>
    {
        while (_terminal.In.Read() >= 0) continue;
        stop.Cancel();
    })
    { IsBackground = true, Name = "supervisor watch" }.Start();
}
