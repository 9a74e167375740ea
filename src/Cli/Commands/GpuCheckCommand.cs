using System.CommandLine;
using System.Diagnostics;
using Krewe.Abstractions;
using Krewe.Kernels.Cuda;
using Krewe.Models;
using Krewe.Workers.Benching.Gpu;

namespace Krewe.Cli;

/// <summary>
/// <c>krewe gpucheck</c>: a GPU's kernels, exactness beside the CPU and speed, as one table last. Each area runs in a
/// process of its own (<see cref="GpuCheckAreas"/>), which is this command with <c>--area</c>.
/// </summary>
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

    private readonly Option<bool> _quick = new("--quick")
    {
        Description = "Fewer figures: two contexts, one prompt, the 1 B model alone, the best of three.",
    };

    private readonly Option<GpuArea[]?> _only = new("--only")
    {
        Description = $"These areas alone: {string.Join(", ", Enum.GetValues<GpuArea>().Select(Setting.Name))}.",
        HelpName = "AREA,AREA",
        Arity = ArgumentArity.ExactlyOne,
        CustomParser = result =>
        {
            var areas = new List<GpuArea>();
            foreach (var text in result.Tokens[0].Value.Split(','))
            {
                if (Enum.TryParse<GpuArea>(text, ignoreCase: true, out var area) && !int.TryParse(text, out _))
                    areas.Add(area);
                else
                    result.AddError($"--only is '{result.Tokens[0].Value}'; areas are "
                        + $"{string.Join(", ", Enum.GetValues<GpuArea>().Select(Setting.Name))}.");
            }

            return [.. areas];
        },
    };

    private readonly Option<string?> _json = Setting.Text(
        "--json", "FILE", "Write each row there, too, as a line of JSON, as soon as it is there.");

    private readonly UsualOption<TimeSpan> _limit = Setting.Seconds(
        "--limit", "End after so long, with the table of what there is.", TimeSpan.FromMinutes(9));

    private readonly Option<GpuArea?> _area = Setting.OptionalChoice<GpuArea>(
        "--area", "Used by the check itself: run this area here, rows as lines of JSON.");

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
        _hold.Hidden = _area.Hidden = true;
        foreach (var option in (Option[])[_model, _measure, _small, _quick, _only, _json, _limit, _noRandom, _scratch,
            _kvMemory, _hold, _area])
            Add(option);
        _cuda.AddTo(this);
        _cuda.AddLinkedTo(this);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellation)
    {
        var options = _cuda.Read(result);
        try
        {
            if (result.GetValue(_hold) is { } bytes)
            {
                GpuHolder.Run(options, bytes, Console.In, Console.Out);
                return ExitCode.Success;
            }

            if (result.GetValue(_area) is { } area)
            {
                // Ends with whoever started it.
                using var bound = new Shutdown();
                return Run(result, options, area);
            }
        }
        catch (CudaException missing) when (missing.IsContextLost)
        {
            throw new KreweException(ErrorCode.Internal, missing.Message, innerException: missing);
        }
        catch (CudaException missing)
        {
            throw new KreweException(
                missing.IsPassing ? ErrorCode.DeviceBusy : ErrorCode.DeviceUnavailable, missing.Message,
                innerException: missing);
        }

        using var ending = new Shutdown();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation, ending.Token);
        var areas = new GpuCheckAreas(_terminal, TimeProvider.System)
        {
            Arguments = [.. Forwarded(result), .. CudaSettings.ToArguments(options)],
            ScratchDirectory = ScratchOf(result),
            JsonFile = result.GetValue(_json),
            Limit = _limit.Read(result),
        };
        return await areas.RunAsync(
            result.GetValue(_only) is { Length: > 0 } only ? only : Enum.GetValues<GpuArea>(), stop.Token);
    }

    /// <summary>What an area's process must be told of this one's options.</summary>
    private IEnumerable<string> Forwarded(ParseResult result)
    {
        if (result.GetValue(_model) is { } model) yield return $"--model={model}";
        foreach (var folder in result.GetValue(_measure) ?? []) yield return $"--measure={folder}";
        if (result.GetValue(_small)) yield return _small.Name;
        if (result.GetValue(_quick)) yield return _quick.Name;
        if (result.GetValue(_noRandom)) yield return _noRandom.Name;
        yield return $"--scratch={ScratchOf(result)}";
        yield return $"--kv-memory={_kvMemory.Read(result)}";
    }

    private string ScratchOf(ParseResult result) => result.GetValue(_scratch) ?? Path.GetTempPath();

    private int Run(ParseResult result, CudaOptions options, GpuArea area)
    {
        using var model = ModelFolder.Open(result.GetValue(_model) ?? BundledModel.Find());
        var measured = Array.ConvertAll(result.GetValue(_measure) ?? [], folder => ModelFolder.Open(folder));
        var (small, quick) = (result.GetValue(_small), result.GetValue(_quick));
        try
        {
            var plan = new GpuCheckPlan
            {
                Bundled = model,
                Measured = measured,
                Shapes = result.GetValue(_noRandom) ? []
                    : small ? [RandomModel.Small]
                    : quick ? [RandomModel.OneBillion] : [RandomModel.OneBillion, RandomModel.EightBillion],
                ScratchDirectory = ScratchOf(result),
                Options = options,
                Sizes = small ? GpuSizes.Small : quick ? GpuSizes.Quick : GpuSizes.Full,
                KvMemoryBytes = _kvMemory.Read(result),
                StartHolder = (holder, held) => Process.Start(OwnProgram.With(
                    ["gpucheck", "--hold", $"{held}", .. CudaSettings.ToArguments(holder)]))!,
            };
            foreach (var row in GpuCheck.Run(plan, area, TimeProvider.System))
            {
                _terminal.Out.WriteLine(row.ToJson());
                _terminal.Out.Flush();
            }

            return ExitCode.Success;
        }
        finally
        {
            foreach (var folder in measured) folder.Dispose();
        }
    }
}
