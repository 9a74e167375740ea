using System.Runtime.InteropServices;
using System.Text;
using Krewe.Kernels.Cuda;

namespace Krewe.Cuda.Tests;

/// <summary>What a test asks of the emulated driver, and sets.</summary>
internal sealed unsafe class Emulator
{
    /// <summary>An order in which wgmma adds otherwise than mma.sync does, as a GPU may.</summary>
    public const int OtherSums = 1 << 30;

    private readonly delegate* unmanaged<byte*, int, int> _record;
    private readonly delegate* unmanaged<int> _forget;
    private readonly delegate* unmanaged<byte*, int, int, int> _fail;
    private readonly delegate* unmanaged<int, int> _live;
    private readonly delegate* unmanaged<int, int, int, int, long, int> _settings;
    private readonly delegate* unmanaged<int, int> _ownHandles;
    private readonly delegate* unmanaged<int, int, int, int> _virtual;
    private readonly delegate* unmanaged<int> _files;

    public Emulator(CudaLibraries libraries)
    {
        var library = libraries.Load(CudaLibrary.Driver);
        _record = (delegate* unmanaged<byte*, int, int>)NativeLibrary.GetExport(library, "emulated_record");
        _forget = (delegate* unmanaged<int>)NativeLibrary.GetExport(library, "emulated_forget");
        _fail = (delegate* unmanaged<byte*, int, int, int>)NativeLibrary.GetExport(library, "emulated_fail");
        _live = (delegate* unmanaged<int, int>)NativeLibrary.GetExport(library, "emulated_live");
        _ownHandles = (delegate* unmanaged<int, int>)NativeLibrary.GetExport(library, "emulated_own_handles");
        _virtual = (delegate* unmanaged<int, int, int, int>)NativeLibrary.GetExport(library, "emulated_virtual");
        _files = (delegate* unmanaged<int>)NativeLibrary.GetExport(library, "emulated_files");
        _settings = (delegate* unmanaged<int, int, int, int, long, int>)
            NativeLibrary.GetExport(library, "emulated_settings");
    }

    /// <summary>Calls since <see cref="Forget"/>; kernels as "launch NAME".</summary>
    public string[] Calls()
    {
        var text = new byte[_record(null, 0)];
        fixed (byte* target = text) _record(target, text.Length);
        return Encoding.UTF8.GetString(text).TrimEnd('\0').Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    public void Forget() => _forget();

    /// <summary>The call after <paramref name="after"/> more of its kind fails with <paramref
    /// name="status"/>.</summary>
    public void Fail(string call, int after, int status)
    {
        fixed (byte* name = Encoding.UTF8.GetBytes(call + '\0')) _fail(name, after, status);
    }

    /// <summary>The GPU dies of <paramref name="status"/> after so many pieces of work more, and the others live
    /// on.</summary>
    public void Die(int device, int after, int status) => Fail($"run {device}", after, status);

    /// <summary>What is out: device memory, pinned memory, streams, events, modules, graphs, others' memory, memory
    /// pinned for others, virtual memory, reserved addresses, what cuFile knows.</summary>
    public string Live() =>
        string.Join(' ', [.. Enumerable.Range(0, 10).Select(kind => _live(kind)), _files()]);

    /// <summary>What the GPUs have, until <see cref="Set"/>.</summary>
    /// <param name="memory">Memory that can be made apart from its addresses.</param>
    /// <param name="rdma">And be written by other devices.</param>
    /// <param name="peers">Access to each other's memory.</param>
    public void Have(bool memory = true, bool rdma = true, bool peers = true) =>
        _virtual(memory ? 1 : 0, rdma ? 1 : 0, peers ? 1 : 0);

    /// <summary>From now on memory handles can be opened in the process that made them, until <see cref="Set"/>.
    /// </summary>
    public void AllowOwnHandles() => _ownHandles(1);

    /// <summary>Also ends whatever error state there is.</summary>
    /// <param name="order">Of fibers: 0 ascending, 1 descending, else the seed of a random order. Odd: wgmma reads its
    /// operands at the issue, even: at the wait.</param>
    /// <param name="eager">Streams run at once, not as late as they may.</param>
    /// <param name="architecture">Compute capability times ten.</param>
    public void Set(
        int order = 0, bool eager = false, int devices = 1, int architecture = 90, long memoryBytes = 2L << 30) =>
        _settings(order, eager ? 1 : 0, devices, architecture, memoryBytes);
}
