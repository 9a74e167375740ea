using System.Runtime.InteropServices;

namespace Krewe.Cli;

/// <summary>
/// Turns the first Ctrl-C or SIGTERM into a cancellation, so that running work may end cleanly. The second one ends the
/// process at once: it is the user's way out of a drain that takes too long.
/// </summary>
internal sealed class Shutdown : IDisposable
{
    /// <summary>Whoever started this process is gone: nobody waits for a drain.</summary>
    private static readonly TimeSpan OrphanGrace = TimeSpan.FromSeconds(5);

    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration _interrupt;
    private readonly PosixSignalRegistration _terminate;

    public Shutdown()
    {
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle);
        _terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle);
        if (Environment.GetEnvironmentVariable(OwnProgram.BoundVariable) is null) return;
        // Not for what this process starts: its children's input is something else.
        Environment.SetEnvironmentVariable(OwnProgram.BoundVariable, null);
        new Thread(EndWithInput) { IsBackground = true, Name = "standard input" }.Start();
    }

    public CancellationToken Token => _source.Token;

    public void Dispose()
    {
        _interrupt.Dispose();
        _terminate.Dispose();
        _source.Dispose();
    }

    private void EndWithInput()
    {
        using var input = Console.OpenStandardInput();
        while (input.ReadByte() >= 0) continue;
        try
        {
            _ = _source.CancelAsync();
        }
        catch (ObjectDisposedException)
        {
            // It is ending.
            return;
        }

        using var never = new ManualResetEventSlim();
        never.Wait(OrphanGrace);
        Environment.Exit(ExitCode.Failure);
    }

    private void Handle(PosixSignalContext context)
    {
        if (_source.IsCancellationRequested) return;
        context.Cancel = true;
        // Cancellation callbacks may block; the signal thread must stay free for the second signal.
        _ = _source.CancelAsync();
    }
}
