using System.CommandLine;
using Krewe.Silo;

namespace Krewe.Cli;

/// <summary><c>krewe silo</c>: the gateway alone; workers are started elsewhere and link to it.</summary>
internal sealed class SiloCommand : Command
{
    /// <summary>Fixed, unlike serve's: workers on other machines are told it.</summary>
    private const int UsualLinkPort = 7070;

    private readonly SiloSettings _silo = new(UsualLinkPort);
    private readonly TelemetrySettings _telemetry = new();
    private readonly Terminal _terminal;

    public SiloCommand(Terminal terminal)
        : base("silo", "Start a gateway that workers link to.")
    {
        _terminal = terminal;
        _silo.AddTo(this);
        _telemetry.AddTo(this);
        Add(ConfigFile.Option());
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        var options = _silo.Read(result);
        var errors = options.Validate().ToArray();
        if (errors.Length > 0) return _terminal.RefuseUsage(errors, Name);
        using var logs = Logs.Create(result, _terminal, TimeProvider.System, options.SiloId);
        using var telemetry = _telemetry.Start(result, "krewe-silo", options.SiloId);
        await using var silo = await SiloHost.StartAsync(options, logs, TimeProvider.System, cancellationToken);
        _terminal.Say(silo.Describe());
        await silo.WaitForStopAsync(cancellationToken);
        return ExitCode.Success;
    }
}
