using System.CommandLine;
using Krewe.Abstractions;
using Krewe.Kernels.Cuda;
using Krewe.Models;
using Krewe.Workers.Benching.Gpu;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary><c>krewe gpucheck</c>: a GPU's kernels, exactness beside the CPU and speed, as one table last.</summary>
internal sealed class GpuCheckCommand : Command
{
    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Model for exactness beside the CPU. Default: the bundled model.");

    private readonly Option<string[]> _measure = new("--measure")
    {
        Description = "Model folders whose steps are measured too.",
        HelpName = "DIR",
    };

    private readonly Option<bool> _small = new("--small")
    {
        Description = "Small sizes: to see that the check itself works. The figures say nothing.",
    };

    private readonly UsualOption<long> _kvMemory = Setting.Bytes(
        "--kv-memory", "KV memory of the measured models.", 16L << 30);

    private readonly CudaSettings _cuda = new();
    private readonly Terminal _terminal;

    public GpuCheckCommand(Terminal terminal)
        : base("gpucheck", "Check an NVIDIA GPU: kernels, exactness beside the CPU, speed.")
    {
        _terminal = terminal;
        foreach (var option in (Option[])[_model, _measure, _small, _kvMemory]) Add(option);
        _cuda.AddTo(this);
        SetAction(Run);
    }

    private int Run(ParseResult result)
    {
        using var model = ModelFolder.Open(result.GetValue(_model) ?? BundledModel.Find());
        var measured = Array.ConvertAll(result.GetValue(_measure) ?? [], folder => ModelFolder.Open(folder));
        try
        {
            return Print(GpuCheck.Run(
                model, measured, _cuda.Read(result), result.GetValue(_small) ? GpuSizes.Small : GpuSizes.Full,
                _kvMemory.Read(result), TimeProvider.System));
        }
        catch (CudaException missing)
        {
            throw new KreweException(ErrorCode.DeviceUnavailable, missing.Message, innerException: missing);
        }
        finally
        {
            foreach (var folder in measured) folder.Dispose();
        }
    }

    /// <summary>Each row as it comes, for whoever waits; then all of them again, as the last thing printed.</summary>
    private int Print(IEnumerable<GpuRow> rows)
    {
        var table = new Table().NoBorder().HideHeaders().AddColumn("verdict").AddColumn("what").AddColumn("found");
        var failed = 0;
        foreach (var row in rows)
        {
            _terminal.Say($"{Word(row.Verdict)} {row.Name}: {row.Found}");
            failed += row.Verdict == false ? 1 : 0;
            table.AddRow(Word(row.Verdict), Markup.Escape(row.Name), Markup.Escape(row.Found));
        }

        _terminal.Ansi().Write(table);
        return failed == 0 ? ExitCode.Success : ExitCode.Failure;
    }

    private static string Word(bool? verdict) => verdict switch { true => "ok", false => "FAIL", null => "-" };
}
