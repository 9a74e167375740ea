using System.Diagnostics;
using System.Globalization;
using Krewe.Workers.Benching.Gpu;

namespace Krewe.Cli;

/// <summary>
/// Runs the areas of <c>krewe gpucheck</c>, each in a process of its own, and prints all their rows as one table last.
/// A kernel that faults or hangs costs its area and no other; whatever ends the check, the rows that there are get
/// printed.
/// </summary>
internal sealed class GpuCheckAreas(Terminal terminal, TimeProvider time)
{
    private readonly long _begun = time.GetTimestamp();
    private readonly List<(GpuArea Area, GpuRow Row)> _rows = [];
    private StreamWriter? _json;
    private bool _withoutWgmma;

    /// <summary>Of the areas' processes.</summary>
    public required IReadOnlyList<string> Arguments { get; init; }

    public required string ScratchDirectory { get; init; }

    /// <summary>Each row goes there at once, a line each; null: nowhere.</summary>
    public string? JsonFile { get; init; }

    /// <summary>Of all areas together.</summary>
    public required TimeSpan Limit { get; init; }

    /// <returns>0 when every bound holds; 5 when a GPU or library is missing, 6 when others use the GPU.</returns>
    public async Task<int> RunAsync(IEnumerable<GpuArea> areas, CancellationToken cancellation)
    {
        _json = JsonFile is null ? null : new StreamWriter(JsonFile) { AutoFlush = true };
        var code = ExitCode.Success;
        try
        {
            foreach (var area in areas)
            {
                if (Left() <= TimeSpan.Zero || cancellation.IsCancellationRequested)
                {
                    Add(area, NotAll(area, cancellation));
                    continue;
                }

                code = await RunAsync(area, cancellation);
                // What faults in its own area shall not do so in all that come after.
                if (area == GpuArea.Wgmma && _rows.Any(each => each.Area == area && each.Row.Verdict == false))
                    _withoutWgmma = true;
                // Nothing else would be found there.
                if (IsWithout(code) && _rows.Count == 0) return code;
            }
        }
        finally
        {
            if (_json is not null) await _json.DisposeAsync();
        }

        Print();
        return _rows.Any(each => each.Row.Verdict == false) ? ExitCode.Failure : ExitCode.Success;
    }

    /// <summary>No GPU, or none that is free.</summary>
    private static bool IsWithout(int code) => code is ExitCode.NoDevice or ExitCode.DeviceBusy;

    private IEnumerable<string> Attention() =>
        _withoutWgmma && !Arguments.Contains("--cuda-attention") ? ["--cuda-attention", "mma"] : [];

    private TimeSpan Left() => Limit - time.GetElapsedTime(_begun);

    private async Task<int> RunAsync(GpuArea area, CancellationToken cancellation)
    {
        using var limit = new CancellationTokenSource(Left(), time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellation);
        using var process = Process.Start(
            OwnProgram.Bound(["gpucheck", "--area", Setting.Name(area), .. Arguments, .. Attention()]))!;
        var said = RelayAsync(process.StandardError);
        try
        {
            while (await process.StandardOutput.ReadLineAsync(stop.Token) is { } line)
            {
                if (GpuRow.FromJson(line) is { } row) Add(area, row);
            }

            await process.WaitForExitAsync(stop.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None);
            Add(area, NotAll(area, cancellation));
            return ExitCode.Failure;
        }
        finally
        {
            var scratch = GpuCheck.ScratchOf(ScratchDirectory, process.Id);
            if (Directory.Exists(scratch)) Directory.Delete(scratch, recursive: true);
        }

        var lastWords = await said;
        if (process.ExitCode is var code and not ExitCode.Success && (!IsWithout(code) || _rows.Count > 0))
            Add(area, new GpuRow(Setting.Name(area), false, $"its process ended with {code}: {lastWords}"));
        return process.ExitCode;
    }

    private GpuRow NotAll(GpuArea area, CancellationToken cancellation) => new(
        Setting.Name(area), cancellation.IsCancellationRequested ? null : false,
        cancellation.IsCancellationRequested
            ? "not all measured: the check was ended"
            : $"not all measured: {Limit.TotalSeconds:0} seconds were over (--limit, --only {Setting.Name(area)})");

    /// <summary>Passes on what a process says, and returns its last line.</summary>
    private async Task<string> RelayAsync(StreamReader error)
    {
        var last = "";
        while (await error.ReadLineAsync() is { } line)
        {
            await terminal.Error.WriteLineAsync(line);
            last = line;
        }

        return last;
    }

    private void Add(GpuArea area, GpuRow row)
    {
        _rows.Add((area, row));
        var seconds = time.GetElapsedTime(_begun).TotalSeconds;
        terminal.Say(string.Create(
            CultureInfo.InvariantCulture, $"{seconds,5:0.0} s {Word(row.Verdict)} {row.Name}: {row.Found}"));
        _json?.WriteLine((row with { Area = Setting.Name(area), Seconds = Math.Round(seconds, 1) }).ToJson());
    }

    private void Print()
    {
        var width = _rows.Count == 0 ? 0 : _rows.Max(each => each.Row.Name.Length);
        GpuArea? last = null;
        foreach (var (area, row) in _rows)
        {
            if (area != last) terminal.Out.WriteLine($"{Setting.Name(area)}");
            last = area;
            terminal.Out.WriteLine($"  {Word(row.Verdict),-4}  {row.Name.PadRight(width)}  {row.Found}");
        }

        var (held, broken) = (Count(true), Count(false));
        terminal.Out.WriteLine(
            $"{held} bounds hold, {broken} do not, {Count(null)} figures without one; "
                + $"{time.GetElapsedTime(_begun).TotalSeconds:0} s");

        int Count(bool? verdict) => _rows.Count(each => each.Row.Verdict == verdict);
    }

    private static string Word(bool? verdict) => verdict switch { true => "ok", false => "FAIL", null => "-" };
}
