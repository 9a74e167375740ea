using System.CommandLine;
using System.Diagnostics;
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

    private readonly Option<string?> _scratch = Setting.Text(
        "--scratch", "DIR", "Where models of random weights are made, 1 B and 8 B; 18 GB. Default: the system's.");

    private readonly Option<bool> _noRandom = new("--no-random")
    {
        Description = "Measure no models of random weights.",
    };

    private readonly Option<long?> _hold = Setting.OptionalBytes(
        "--hold", "Used by the check itself: offer so much GPU memory to another process.");

    private readonly UsualOption<long> _kvMemory = Setting.Bytes(
        "--kv-memory", "KV memory of the measured models.", 16L << 30);

    private readonly CudaSettings _cuda = new();
    private readonly Terminal _terminal;

    public GpuCheckCommand(Terminal terminal)
        : base("gpucheck", "Check an NVIDIA GPU: kernels, exactness beside the CPU, speed.")
    {
        _terminal = terminal;
        _hold.Hidden = true;
        foreach (var option in (Option[])[_model, _measure, _small, _noRandom, _scratch, _kvMemory, _hold])
            Add(option);
        _cuda.AddTo(this);
        SetAction(Run);
    }

    private int Run(ParseResult result)
    {
        var options = _cuda.Read(result);
        try
        {
            if (result.GetValue(_hold) is not { } bytes) return Check(result, options);
            GpuHolder.Run(options, bytes, Console.In, Console.Out);
            return ExitCode.Success;
        }
        catch (CudaException missing)
        {
            throw new KreweException(ErrorCode.DeviceUnavailable, missing.Message, innerException: missing);
        }
    }

    private int Check(ParseResult result, CudaOptions options)
    {
        using var model = ModelFolder.Open(result.GetValue(_model) ?? BundledModel.Find());
        var measured = Array.ConvertAll(result.GetValue(_measure) ?? [], folder => ModelFolder.Open(folder));
        var small = result.GetValue(_small);
        try
        {
            return Print(GpuCheck.Run(
                new GpuCheckPlan
                {
                    Bundled = model,
                    Measured = measured,
                    Shapes = result.GetValue(_noRandom)
                        ? []
                        : small ? [RandomModel.Small] : [RandomModel.OneBillion, RandomModel.EightBillion],
                    ScratchDirectory = result.GetValue(_scratch) ?? Path.GetTempPath(),
                    Options = options,
                    Sizes = small ? GpuSizes.Small : GpuSizes.Full,
                    KvMemoryBytes = _kvMemory.Read(result),
                    StartHolder = (holder, held) => Process.Start(OwnProgram.With(
                        ["gpucheck", "--hold", $"{held}", .. CudaSettings.ToArguments(holder)]))!,
                },
                TimeProvider.System));
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
