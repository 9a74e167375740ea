using System.Buffers;
using System.Threading.Tasks.Sources;

namespace Krewe.KvStore.Devices.Uring;

/// <summary>
/// One I/O from request to completion. Continuations never run on the ring's thread, which must not be held up by them.
/// </summary>
internal sealed class UringOperation : IValueTaskSource
{
    private ManualResetValueTaskSourceCore<bool> _completion = new() { RunContinuationsAsynchronously = true };

    public required byte Code { get; init; }

    public required UringSegment Segment { get; init; }

    public required long Offset { get; init; }

    public required int Length { get; init; }

    /// <summary>Keeps the memory in place until the completion.</summary>
    public MemoryHandle Memory { get; init; }

    /// <summary>Bytes that earlier, short completions brought.</summary>
    public int Done { get; set; }

    public ValueTask AsTask() => new(this, _completion.Version);

    public void Complete(Exception? error)
    {
        Memory.Dispose();
        if (error is null) _completion.SetResult(true);
        else _completion.SetException(error);
    }

    void IValueTaskSource.GetResult(short token) => _completion.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _completion.GetStatus(token);

    void IValueTaskSource.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _completion.OnCompleted(continuation, state, token, flags);
}
