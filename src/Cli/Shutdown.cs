using System.Runtime.InteropServices;

namespace Krewe.Cli;

/// <summary>
/// Turns the first Ctrl-C or SIGTERM into a cancellation, so that running work may end cleanly. The second one ends the
/// process at once: it is the user's way out of a drain that takes too long.
/// </summary>
internal sealed class Shutdown : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration _interrupt;
    private readonly PosixSignalRegistration _terminate;

    public Shutdown()
    {
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle);
        _terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle);
    }

    public CancellationToken Token => _source.Token;

    public void Dispose()
    {
        _interrupt.Dispose();
        _terminate.Dispose();
        _source.Dispose();
    }

    private void Handle(PosixSignalContext context)
    {
        if (_source.IsCancellationRequested) return;
        context.Cancel = true;
        // Cancellation callbacks may block; the signal thread must stay free for the second signal.
        _ = _source.CancelAsync();
    }
}
