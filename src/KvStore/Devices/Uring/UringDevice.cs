using Krewe.KvStore.Memory;

namespace Krewe.KvStore.Devices.Uring;

/// <summary>
/// Block device on io_uring. One thread owns the ring: it submits what others queue and waits in the kernel for
/// completions, so no pool thread ever blocks in an I/O, and no I/O is cancelled because its submitter's thread ended.
/// An event descriptor, read through the ring itself, wakes it.
/// </summary>
internal sealed partial class UringDevice : IBlockDevice
{
    private readonly Lock _gate = new();
    private readonly Queue<UringOperation> _waiting = new();
    private readonly Queue<RingCommand> _commands = new();
    private readonly UringOperation?[] _inFlight;
    private readonly Stack<int> _freeTags;
    private readonly int _wakeDescriptor;
    private readonly NativeBuffer _wakeBuffer = new(sizeof(ulong));
    private readonly UringRegistrations _registrations = new();
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _wakeSent;
    private bool _stopping;
    private Exception? _failure;

    private UringDevice(int queueDepth, int wakeDescriptor)
    {
        QueueDepth = queueDepth;
        _wakeDescriptor = wakeDescriptor;
        _inFlight = new UringOperation?[queueDepth];
        _freeTags = new Stack<int>(Enumerable.Range(0, queueDepth));
    }

    public string Description =>
        $"io_uring with direct I/O, {QueueDepth} in flight, registered files: {YesNo(_registrations.HasFiles)}, "
        + $"registered memory: {YesNo(_registrations.HasMemory)}";

    public int QueueDepth { get; }

    /// <summary>Starts the ring's thread, or says why the kernel refuses.</summary>
    public static async ValueTask<(UringDevice? Device, string? Refusal)> TryStartAsync(int queueDepth)
    {
        const int NonBlockingCloseOnExec = 0x80000;
        if (!OperatingSystem.IsLinux()) return (null, "io_uring is for Linux only");
        var wake = NativeMethods.EventDescriptor(0, NonBlockingCloseOnExec);
        if (wake < 0) return (null, "no event descriptor is left (raise the limit of open files)");
        var device = new UringDevice(queueDepth, wake);
        var started = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() => device.Run(started)) { IsBackground = true, Name = "krewe-kv-io" }.Start();
        var refusal = await started.Task;
        return refusal is null ? (device, null) : (null, refusal);
    }

    public async ValueTask<ISegmentFile> OpenSegmentAsync(
        string path, long lengthBytes, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var handle = DirectFile.Open(path, lengthBytes, direct: true);
        var descriptor = (int)handle.DangerousGetHandle();
        var index = await Command(ring => _registrations.TryAddFile(ring, descriptor));
        return new UringSegment(this, path, handle, index);
    }

    public void DeleteSegment(string path) => File.Delete(path);

    public async ValueTask<bool> RegisterMemoryAsync(NativeBuffer memory) =>
        await Command(ring => _registrations.TryAddMemory(ring, memory)) is not null;

    /// <summary>Frees the file's place in the kernel's table; a ring that broke has no table any more.</summary>
    public Task UnregisterFileAsync(int index)
    {
        lock (_gate)
        {
            if (_failure is not null) return Task.CompletedTask;
        }

        return Command(ring => _registrations.RemoveFile(ring, index));
    }

    /// <summary>Queues one I/O. The memory stays pinned until its completion.</summary>
    public ValueTask Submit(byte code, UringSegment segment, long offset, ReadOnlyMemory<byte> memory)
    {
        var operation = new UringSingle
        {
            Code = code,
            Segment = segment,
            Offset = offset,
            Length = memory.Length,
            Memory = memory.Pin(),
        };
        Queue([operation]);
        return operation.AsTask();
    }

    public ValueTask ReadAllAsync(IReadOnlyList<BlockRead> reads)
    {
        if (reads.Count == 0) return ValueTask.CompletedTask;
        var batch = new UringBatch(reads.Count);
        var operations = new UringOperation[reads.Count];
        for (var i = 0; i < operations.Length; i++)
        {
            operations[i] = new UringBatch.Part(batch, reads[i])
            {
                Code = UringAbi.OpRead,
                Segment = (UringSegment)reads[i].File,
                Offset = reads[i].Offset,
                Length = reads[i].Buffer.Length,
                Memory = reads[i].Buffer.Pin(),
            };
        }

        Queue(operations);
        return new ValueTask(batch.Ended);
    }

    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            // After a failure the event descriptor is closed, and its number may be another file's by now.
            if (!_stopping && _failure is null) Wake();
            _stopping = true;
        }

        await _stopped.Task;
    }

    private void Queue(ReadOnlySpan<UringOperation> operations)
    {
        lock (_gate)
        {
            if (_failure is null && !_stopping)
            {
                foreach (var operation in operations) _waiting.Enqueue(operation);
                Wake();
                return;
            }
        }

        var refusal = _failure ?? new ObjectDisposedException(nameof(UringDevice));
        foreach (var operation in operations) operation.Complete(refusal);
    }

    private static string YesNo(bool value) => value ? "yes" : "no";

    private Task<int?> Command(Func<UringRing, int?> action)
    {
        var command = new RingCommand(action);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stopping || _failure is not null, this);
            _commands.Enqueue(command);
            Wake();
        }

        return command.Completion.Task;
    }

    /// <summary>One write per burst: until the ring's thread has looked, further callers need not call again.</summary>
    private unsafe void Wake()
    {
        if (_wakeSent) return;
        _wakeSent = true;
        var one = 1UL;
        _ = NativeMethods.Write(_wakeDescriptor, &one, sizeof(ulong));
    }

    private sealed class RingCommand(Func<UringRing, int?> action)
    {
        public TaskCompletionSource<int?> Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Run(UringRing ring) => Completion.SetResult(action(ring));
    }
}
