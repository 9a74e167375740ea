using System.Runtime.InteropServices;

namespace Krewe.Kernels.Cuda;

/// <summary>A GPU as the driver describes it.</summary>
/// <param name="Ordinal">Its number among the driver's.</param>
/// <param name="Architecture">Compute capability times ten: 90 for sm_90.</param>
/// <param name="SharedBytesMax">Shared memory that one thread block may have.</param>
/// <param name="Uuid">The same in every process, whatever it numbers the GPUs by.</param>
public sealed record GpuInfo(
    int Ordinal, string Name, int Architecture, long MemoryBytes, int Multiprocessors, int SharedBytesMax, string Uuid)
{
    /// <summary>Memory can be made apart from its addresses and shared by file descriptors (cuMemCreate).</summary>
    public bool HasVirtualMemory { get; init; }

    /// <summary>Such memory can be made so that other devices of the machine write into it.</summary>
    public bool HasVirtualRdma { get; init; }
}

/// <summary>The loaded driver. One for each process and library; it is never unloaded.</summary>
public sealed unsafe class CudaDriver
{
    /// <summary>BF16 tensor cores and asynchronous copies came with it.</summary>
    public const int OldestArchitecture = 80;

    private const int AttributeMultiprocessors = 16;
    private const int AttributeMajor = 75;
    private const int AttributeMinor = 76;
    private const int AttributeSharedBytesMax = 97;
    private const int AttributeVirtualMemory = 102;
    private const int AttributeFileDescriptors = 103;
    private const int AttributeVirtualRdma = 110;
    private const int NameBytes = 256;

    private CudaDriver(DriverApi api) => Api = api;

    internal DriverApi Api { get; }

    /// <summary>For instance 12040 for CUDA 12.4.</summary>
    public int Version
    {
        get
        {
            int version;
            Api.Check(Api.DriverGetVersion(&version), "cuDriverGetVersion");
            return version;
        }
    }

    /// <exception cref="CudaException">The library or a device is missing.</exception>
    public static CudaDriver Load(CudaLibraries libraries)
    {
        ArgumentNullException.ThrowIfNull(libraries);
        var api = new DriverApi(libraries.Load(CudaLibrary.Driver));
        api.Check(api.Init(0), "cuInit", "the driver found no GPU that it can use");
        return new CudaDriver(api);
    }

    public IReadOnlyList<GpuInfo> Devices()
    {
        int count;
        Api.Check(Api.DeviceGetCount(&count), "cuDeviceGetCount");
        return [.. Enumerable.Range(0, count).Select(Describe)];
    }

    /// <summary>Opens a GPU.</summary>
    /// <exception cref="CudaException">There is no such GPU, or it is too old.</exception>
    public CudaDevice Open(int ordinal)
    {
        var devices = Devices();
        if (ordinal < 0 || ordinal >= devices.Count)
            throw new CudaException($"There is no GPU {ordinal}: the driver has {devices.Count}, numbered from 0.");
        var gpu = devices[ordinal];
        if (gpu.Architecture < OldestArchitecture)
        {
            throw new CudaException(
                $"GPU {ordinal} ({gpu.Name}) is sm_{gpu.Architecture}; the kernels need sm_{OldestArchitecture} "
                    + "(A100, RTX 30) or newer. Use --device cpu.");
        }

        return new CudaDevice(this, gpu);
    }

    /// <summary>Whether one GPU can read and write the other's memory (NVLink, or PCIe below one root).</summary>
    public bool CanReach(int from, int to)
    {
        int can;
        Api.Check(Api.DeviceCanAccessPeer(&can, from, to), "cuDeviceCanAccessPeer", $"GPU {from} and {to}");
        return can != 0;
    }

    private GpuInfo Describe(int ordinal)
    {
        int device;
        DeviceUuid uuid;
        nuint bytes;
        var name = stackalloc byte[NameBytes];
        Api.Check(Api.DeviceGet(&device, ordinal), "cuDeviceGet", $"GPU {ordinal}");
        Api.Check(Api.DeviceGetName(name, NameBytes, device), "cuDeviceGetName", $"GPU {ordinal}");
        Api.Check(Api.DeviceTotalMem(&bytes, device), "cuDeviceTotalMem", $"GPU {ordinal}");
        Api.Check(Api.DeviceGetUuid(&uuid, device), "cuDeviceGetUuid", $"GPU {ordinal}");
        return new GpuInfo(
            ordinal, Marshal.PtrToStringUTF8((nint)name) ?? "",
            (10 * Attribute(device, AttributeMajor)) + Attribute(device, AttributeMinor), (long)bytes,
            Attribute(device, AttributeMultiprocessors), Attribute(device, AttributeSharedBytesMax), uuid.ToString())
        {
            HasVirtualMemory =
                Attribute(device, AttributeVirtualMemory) != 0 && Attribute(device, AttributeFileDescriptors) != 0,
            HasVirtualRdma = Attribute(device, AttributeVirtualRdma) != 0,
        };
    }

    private int Attribute(int device, int attribute)
    {
        int value;
        Api.Check(Api.DeviceGetAttribute(&value, attribute, device), "cuDeviceGetAttribute", $"attribute {attribute}");
        return value;
    }
}
