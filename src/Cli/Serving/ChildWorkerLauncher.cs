using System.Diagnostics;
using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>
/// Starts workers as child processes of this executable. The child's standard input is the thread of life: it stops
/// when the pipe closes, which the kernel does however this process ends.
/// </summary>
/// <param name="terminal">Where the children's lines go.</param>
/// <param name="extra">What every child is told beside its own options.</param>
internal sealed class ChildWorkerLauncher(Terminal terminal, IReadOnlyList<string> extra) : IWorkerLauncher
{
    public IWorkerProcess Start(WorkerOptions options)
    {
        var start = OwnProgram.With([.. WorkerArguments.From(options), .. extra, "--supervised"]);
        return new Child(options.WorkerId, Process.Start(start)!, terminal);
    }

    private sealed class Child : IWorkerProcess
    {
        private readonly Process _process;
        private readonly string _workerId;
        private readonly Terminal _terminal;

        public Child(string workerId, Process process, Terminal terminal)
        {
            (_workerId, _process, _terminal) = (workerId, process, terminal);
            process.ErrorDataReceived += (_, line) => PassOn(line.Data);
            process.OutputDataReceived += (_, line) => PassOn(line.Data);
            process.BeginErrorReadLine();
            process.BeginOutputReadLine();
            Exited = WaitAsync();
        }

        public Task<int> Exited { get; }

        public string? LastWords { get; private set; }

        public void RequestStop() => _process.StandardInput.Close();

        public void Kill()
        {
            if (!Exited.IsCompleted) _process.Kill();
        }

        public void Dispose()
        {
            Kill();
            _process.Dispose();
        }

        private async Task<int> WaitAsync()
        {
            await _process.WaitForExitAsync();
            return _process.ExitCode;
        }

        private void PassOn(string? line)
        {
            if (string.IsNullOrEmpty(line)) return;
            var said = JsonLine.MessageOf(line);
            LastWords = said.StartsWith(Terminal.Prefix, StringComparison.Ordinal)
                ? said[Terminal.Prefix.Length..]
                : said;
            // A line of JSON names its process itself.
            _terminal.Error.WriteLine(_terminal.SaysJson && line[0] == '{' ? line : $"[{_workerId}] {line}");
        }
    }
}
