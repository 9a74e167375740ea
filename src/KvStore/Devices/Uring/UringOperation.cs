using System.Buffers;
using System.Threading.Tasks.Sources;

namespace Krewe.KvStore.Devices.Uring;

/// <summary>One I/O from request to completion.</summary>
internal abstract class UringOperation
{
    public required byte Code { get; init; }

    public required UringSegment Segment { get; init; }

    public required long Offset { get; init; }

    public required int Length { get; init; }

    /// <summary>Keeps the memory in place until the completion.</summary>
    public MemoryHandle Memory { get; init; }

    /// <summary>Bytes that earlier, short completions brought.</summary>
    public int Done { get; set; }

    /// <summary>To be called once; null: all bytes moved.</summary>
    public void Complete(Exception? error)
    {
        Memory.Dispose();
        End(error);
    }

    /// <summary>Continuations must not run here: it is the ring's thread.</summary>
    protected abstract void End(Exception? error);
}

/// <summary>An I/O that somebody awaits by itself.</summary>
internal sealed class UringSingle : UringOperation, IValueTaskSource
{
    private ManualResetValueTaskSourceCore<bool> _completion = new() { RunContinuationsAsynchronously = true };

    public ValueTask AsTask() => new(this, _completion.Version);

    protected override void End(Exception? error)
    {
        if (error is null) _completion.SetResult(true);
        else _completion.SetException(error);
    }

    void IValueTaskSource.GetResult(short token) => _completion.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _completion.GetStatus(token);

    void IValueTaskSource.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _completion.OnCompleted(continuation, state, token, flags);
}

/// <summary>Reads that are awaited together: one continuation for all instead of one each.</summary>
internal sealed class UringBatch(int reads)
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Exception? _failure;
    private int _left = reads;

    public Task Ended => _ended.Task;

    private void End(BlockRead read, Exception? error)
    {
        if (error is BlockIoException fault) read.Error = fault;
        else if (error is not null) _failure = error;
        if (Interlocked.Decrement(ref _left) > 0) return;
        if (_failure is null) _ended.SetResult();
        else _ended.SetException(_failure);
    }

    /// <summary>One read of the batch.</summary>
    internal sealed class Part(UringBatch batch, BlockRead read) : UringOperation
    {
        protected override void End(Exception? error) => batch.End(read, error);
    }
}
