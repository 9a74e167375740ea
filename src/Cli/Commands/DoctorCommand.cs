using System.CommandLine;
using Krewe.Abstractions;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary><c>krewe doctor</c>: looks at what serving needs, one line each, and says what to do.</summary>
internal sealed class DoctorCommand : Command
{
    private readonly UsualOption<int> _port = Setting.Count(
        "--port", "Port that would be served on.", SiloOptions.DefaultHttpPort, 1, 65535);

    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Model folder. Default: the bundled model.");

    private readonly Option<string?> _data = Setting.Text("--data", "DIR", "Data folder. Default: the current folder.");

    private readonly Option<string?> _kvDisk = Setting.Text(
        "--kv-disk", "DIR,DIR", "Folders for KV objects that workers would be given. Default: none.");

    private readonly UsualOption<long> _kvDiskBytes = Setting.Bytes(
        "--kv-disk-bytes", "Bytes that each worker would reserve there.", new KvTierOptions().DiskBytes);

    private readonly Option<string?> _cudaLibraries = Setting.Text(
        "--cuda-libraries", "DIR,DIR", "Folders with NVIDIA's libraries, before the system's.");

    private readonly Terminal _terminal;

    public DoctorCommand(Terminal terminal)
        : base("doctor", "Check this machine and say what to do.")
    {
        _terminal = terminal;
        foreach (var option in (Option[])[_port, _model, _data, _kvDisk, _kvDiskBytes, _cudaLibraries]) Add(option);
        SetAction((result, _) => RunAsync(result));
    }

    private async Task<int> RunAsync(ParseResult result)
    {
        List<CheckResult> checks =
        [
            MachineChecks.Runtime(),
            MachineChecks.Processor(),
            MachineChecks.Memory(),
            MachineChecks.Port(_port.Read(result)),
            MachineChecks.Disk(result.GetValue(_data) ?? "."),
            .. GpuChecks.All(result.GetValue(_cudaLibraries)?.Split(',')),
            MachineChecks.Model(result.GetValue(_model)),
        ];
        if (result.GetValue(_kvDisk)?.Split(',') is { } folders)
            checks.Add(await MachineChecks.KvDiskAsync(folders, _kvDiskBytes.Read(result)));
        var table = new Table().NoBorder().HideHeaders().AddColumn("level").AddColumn("what").AddColumn("found");
        foreach (var check in checks)
        {
            table.AddRow(Paint(check.Level), Markup.Escape(check.What), Markup.Escape(check.Found));
            if (check.Advice is { } advice) table.AddRow("", "", Markup.Escape($"-> {advice}"));
        }

        _terminal.Ansi().Write(table);
        return checks.Exists(check => check.Level == CheckLevel.Fail) ? ExitCode.Failure : ExitCode.Success;
    }

    private static string Paint(CheckLevel level) => level switch
    {
        CheckLevel.Ok => "[green]ok[/]",
        CheckLevel.Warn => "[yellow]warn[/]",
        CheckLevel.Fail => "[red]fail[/]",
        _ => throw new ArgumentOutOfRangeException(nameof(level), level, "A level without a colour."),
    };
}
