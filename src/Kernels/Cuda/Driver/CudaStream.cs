using System.Diagnostics.CodeAnalysis;

namespace Krewe.Kernels.Cuda;

/// <summary>A queue of work on a GPU: in order inside, in any order against other streams but for events.</summary>
[SuppressMessage("Naming", "CA1711", Justification = "CUDA's own word; it is no System.IO.Stream.")]
public sealed unsafe class CudaStream : DriverHandle
{
    internal CudaStream(CudaDevice device, nint handle)
        : base(device, handle)
    {
    }

    public nint Handle
    {
        get
        {
            Device.MakeCurrent();
            return Value;
        }
    }

    /// <summary>Copies to the device; <paramref name="source"/> must stay as it is until the copy was waited for, and
    /// be pinned for the copy to overlap with anything.</summary>
    public void CopyToDevice(nint target, void* source, long bytes) =>
        Api.Check(Api.CopyToDevice(target, source, (nuint)bytes, Handle), "cuMemcpyHtoDAsync", $"{bytes} bytes");

    public void CopyToHost(void* target, nint source, long bytes) =>
        Api.Check(Api.CopyToHost(target, source, (nuint)bytes, Handle), "cuMemcpyDtoHAsync", $"{bytes} bytes");

    public void CopyOnDevice(nint target, nint source, long bytes) =>
        Api.Check(Api.CopyOnDevice(target, source, (nuint)bytes, Handle), "cuMemcpyDtoDAsync", $"{bytes} bytes");

    public void Fill(nint target, byte value, long bytes) =>
        Api.Check(Api.Fill(target, value, (nuint)bytes, Handle), "cuMemsetD8Async", $"{bytes} bytes");

    /// <summary>What is queued from now on runs after what the event stands for.</summary>
    public void WaitFor(CudaEvent other)
    {
        ArgumentNullException.ThrowIfNull(other);
        Api.Check(Api.StreamWaitEvent(Handle, other.Handle, 0), "cuStreamWaitEvent");
    }

    /// <summary>Returns when all that is queued has run; a kernel's fault surfaces here.</summary>
    public void Synchronize(string what = "") =>
        Api.Check(Api.StreamSynchronize(Handle), "cuStreamSynchronize", what);

    /// <summary>Records what <paramref name="queue"/> queues, instead of running it.</summary>
    public CudaGraph Capture(Action queue)
    {
        ArgumentNullException.ThrowIfNull(queue);
        // Other threads may allocate and copy meanwhile.
        const int ThreadLocal = 1;
        Api.Check(Api.StreamBeginCapture(Handle, ThreadLocal), "cuStreamBeginCapture");
        nint graph = 0;
        var ended = false;
        try
        {
            queue();
            ended = true;
            Api.Check(Api.StreamEndCapture(Handle, &graph), "cuStreamEndCapture");
            nint executable;
            Api.Check(Api.GraphInstantiate(&executable, graph, 0), "cuGraphInstantiate");
            return new CudaGraph(Device, executable);
        }
        finally
        {
            // A capture that failed half way must end, or the stream is lost.
            if (!ended) _ = Api.StreamEndCapture(Handle, &graph);
            if (graph != 0) Api.Check(Api.GraphDestroy(graph), "cuGraphDestroy");
        }
    }

    public void Launch(CudaGraph graph)
    {
        ArgumentNullException.ThrowIfNull(graph);
        Api.Check(Api.GraphLaunch(graph.Handle, Handle), "cuGraphLaunch");
    }

    private protected override void Release(nint value) =>
        Api.Check(Api.StreamDestroy(value), "cuStreamDestroy");
}

/// <summary>Work that was recorded once and is launched as one.</summary>
public sealed unsafe class CudaGraph : DriverHandle
{
    internal CudaGraph(CudaDevice device, nint handle)
        : base(device, handle)
    {
    }

    internal nint Handle => Value;

    private protected override void Release(nint value) =>
        Api.Check(Api.GraphExecDestroy(value), "cuGraphExecDestroy");
}

/// <summary>A place in a stream that others can wait for.</summary>
[SuppressMessage("Naming", "CA1711", Justification = "CUDA's own word.")]
public sealed unsafe class CudaEvent : DriverHandle
{
    internal CudaEvent(CudaDevice device, nint handle)
        : base(device, handle)
    {
    }

    internal nint Handle => Value;

    /// <summary>Stands from now on for what the stream has queued so far.</summary>
    public void Record(CudaStream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        Api.Check(Api.EventRecord(Handle, stream.Handle), "cuEventRecord");
    }

    /// <summary>Whether the work has run.</summary>
    public bool HasRun() => Api.CheckReady(Api.EventQuery(Handle), "cuEventQuery");

    public void Synchronize(string what = "") =>
        Api.Check(Api.EventSynchronize(Handle), "cuEventSynchronize", what);

    public float MillisecondsSince(CudaEvent start)
    {
        ArgumentNullException.ThrowIfNull(start);
        float ms;
        Api.Check(Api.EventElapsedTime(&ms, start.Handle, Handle), "cuEventElapsedTime");
        return ms;
    }

    private protected override void Release(nint value) =>
        Api.Check(Api.EventDestroy(value), "cuEventDestroy");
}
