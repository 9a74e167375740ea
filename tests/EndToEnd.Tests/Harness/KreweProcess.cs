using System.Diagnostics;
using System.Text;

namespace Krewe.EndToEnd.Tests.Harness;

/// <summary>A real <c>krewe</c> process. All that it says is kept; disposing kills it and its children.</summary>
public sealed class KreweProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly List<string> _lines = [];
    private readonly StringBuilder _output = new();
    private readonly List<(Func<string, bool> Wanted, TaskCompletionSource<string> Found)> _waiting = [];

    static KreweProcess() => Signals.HearInterrupts();

    private KreweProcess(Process process)
    {
        _process = process;
        process.ErrorDataReceived += (_, line) => Take(line.Data, isOutput: false);
        process.OutputDataReceived += (_, line) => Take(line.Data, isOutput: true);
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
    }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>What it wrote to standard output so far.</summary>
    public string Output
    {
        get
        {
            lock (_lines) return _output.ToString();
        }
    }

    /// <summary>Both outputs, line by line, as they came.</summary>
    public string Log
    {
        get
        {
            lock (_lines) return string.Join('\n', _lines);
        }
    }

    /// <summary>The program as these tests were built with it.</summary>
    public static KreweProcess Start(params IEnumerable<string> arguments) =>
        StartProgram("dotnet", [Path.Combine(AppContext.BaseDirectory, "krewe.dll"), .. arguments]);

    public static KreweProcess StartProgram(string program, params IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = AppContext.BaseDirectory,
        };
        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        return new KreweProcess(Process.Start(start)!);
    }

    /// <summary>Runs to the end.</summary>
    public static async Task<(int ExitCode, string Output, string Log)> RunAsync(params IEnumerable<string> arguments)
    {
        await using var process = Start(arguments);
        var code = await process.WaitForExitAsync();
        return (code, process.Output, process.Log);
    }

    public async Task<int> WaitForExitAsync(TimeSpan? limit = null)
    {
        var patience = limit ?? Patience.Hang;
        using var ended = new CancellationTokenSource(patience);
        try
        {
            await _process.WaitForExitAsync(ended.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"The process did not exit within {patience.TotalSeconds} s. It said:\n{Log}");
        }

        return _process.ExitCode;
    }

    /// <summary>The first line that is wanted, said already or not.</summary>
    public async Task<string> WaitForLineAsync(Func<string, bool> wanted)
    {
        var found = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lines)
        {
            if (_lines.FirstOrDefault(wanted) is { } said) return said;
            _waiting.Add((wanted, found));
        }

        var exited = _process.WaitForExitAsync();
        var first = await Task.WhenAny(found.Task, exited, Task.Delay(Patience.Hang));
        if (first == found.Task) return await found.Task;
        var reason = first == exited
            ? $"exited with code {_process.ExitCode}"
            : $"did not say it in {Patience.Hang.TotalSeconds} s";
        throw new InvalidOperationException($"The process {reason}. It said:\n{Log}");
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited) _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private void Take(string? line, bool isOutput)
    {
        if (line is null) return;
        lock (_lines)
        {
            _lines.Add(line);
            if (isOutput) _output.Append(line).Append('\n');
            foreach (var (wanted, found) in _waiting)
            {
                if (wanted(line)) found.TrySetResult(line);
            }
        }
    }
}
