namespace Krewe.KvStore.Disk;

/// <summary>
/// Lets a store close only when the last operation has left: the kernel must not write into freed memory.
/// </summary>
internal sealed class OperationGuard(Type owner)
{
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _empty = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _inside;
    private bool _closing;

    /// <summary>Operations under way.</summary>
    public int Inside
    {
        get
        {
            lock (_gate) return _inside;
        }
    }

    /// <exception cref="ObjectDisposedException">The store is closing.</exception>
    public void Enter()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_closing, owner);
            _inside++;
        }
    }

    public void Leave()
    {
        lock (_gate)
        {
            if (--_inside == 0 && _closing) _empty.TrySetResult();
        }
    }

    /// <summary>Refuses new operations and waits for those inside.</summary>
    /// <returns>False when it was closed before.</returns>
    public async ValueTask<bool> CloseAsync()
    {
        lock (_gate)
        {
            if (_closing) return false;
            _closing = true;
            if (_inside == 0) return true;
        }

        await _empty.Task;
        return true;
    }
}
