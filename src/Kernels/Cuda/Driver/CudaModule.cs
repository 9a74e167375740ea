using System.Collections.Concurrent;
using System.Text;

namespace Krewe.Kernels.Cuda;

/// <summary>Thread blocks of a grid, or threads of a block.</summary>
internal readonly record struct Extent(int X, int Y = 1, int Z = 1)
{
    public override string ToString() => $"{X} x {Y} x {Z}";
}

/// <summary>A compiled image on a GPU and its kernels by name.</summary>
internal sealed unsafe class CudaModule : DriverHandle
{
    /// <summary>Dynamic shared memory that a kernel has without asking.</summary>
    private const int UsualSharedBytes = 48 * 1024;

    private const int AttributeDynamicSharedBytes = 8;

    private readonly ConcurrentDictionary<string, (nint Handle, int SharedBytes)> _functions = [];

    /// <param name="target">What the image is for, and who made it: for the error message.</param>
    public CudaModule(CudaDevice device, byte[] image, string target)
        : base(device, Load(device, image, target))
    {
    }

    /// <summary>
    /// Has the kernel on the GPU and allowed so much shared memory before its first launch: a driver loads kernels when
    /// they are first wanted, and before 12.3 it cannot while a stream is being recorded.
    /// </summary>
    public void Prepare(string kernel, int sharedBytes)
    {
        var function = Function(kernel, sharedBytes);
        if (Device.Api.FunctionLoad != null)
            Device.Api.Check(Device.Api.FunctionLoad(function), "cuFuncLoad", $"kernel {kernel}");
    }

    /// <summary>Whether grids may begin before the one before them has ended; the kernels must be written for it.
    /// </summary>
    public bool Overlaps { get; set; }

    /// <summary>Queues one grid of a kernel.</summary>
    /// <param name="arguments">The struct of the kernel's source.</param>
    /// <param name="shapes">For the error message.</param>
    public void Launch<T>(
        string kernel, Extent grid, Extent block, int sharedBytes, CudaStream stream, in T arguments, string shapes)
        where T : unmanaged
    {
        var function = Function(kernel, sharedBytes);
        fixed (T* pointer = &arguments)
        {
            var parameters = (void*)pointer;
            var status = Overlaps
                ? LaunchEarly(function, grid, block, sharedBytes, stream, &parameters)
                : Device.Api.LaunchKernel(
                    function, (uint)grid.X, (uint)grid.Y, (uint)grid.Z, (uint)block.X, (uint)block.Y, (uint)block.Z,
                    (uint)sharedBytes, stream.Handle, &parameters, null);
            if (status == 0) return;
            Device.Api.Check(
                status, "cuLaunchKernel",
                $"kernel {kernel}, {shapes}, grid {grid}, block {block}, {sharedBytes} bytes of shared memory");
        }
    }

    private protected override void Release(nint value) =>
        Api.Check(Api.ModuleUnload(value), "cuModuleUnload");

    private static nint Load(CudaDevice device, byte[] image, string target)
    {
        // Invalid image, no code for this GPU, invalid or too new intermediate code.
        const int InvalidImage = 200, NoBinaryForGpu = 209, InvalidPtx = 218, UnsupportedPtxVersion = 222;
        device.MakeCurrent();
        nint module;
        fixed (byte* data = image)
        {
            var status = device.Api.ModuleLoadData(&module, data);
            if (status == 0) return module;
            var (major, minor) = (device.Driver.Version / 1000, device.Driver.Version % 1000 / 10);
            device.Api.Check(
                status, "cuModuleLoadData",
                status is InvalidImage or NoBinaryForGpu or InvalidPtx or UnsupportedPtxVersion
                    ? $"kernels for {target}; the driver is for CUDA {major}.{minor}: where the compiler is newer, "
                        + $"install NVRTC {major} or a newer driver"
                    : $"{image.Length} bytes for {target}");
            return module;
        }
    }

    private int LaunchEarly(
        nint function, Extent grid, Extent block, int sharedBytes, CudaStream stream, void** parameters)
    {
        var early = new LaunchAttribute { Kind = LaunchAttribute.ProgrammaticSerialization, Value = 1 };
        var config = new LaunchConfig
        {
            GridX = (uint)grid.X,
            GridY = (uint)grid.Y,
            GridZ = (uint)grid.Z,
            BlockX = (uint)block.X,
            BlockY = (uint)block.Y,
            BlockZ = (uint)block.Z,
            SharedBytes = (uint)sharedBytes,
            Stream = stream.Handle,
            Attributes = &early,
            AttributeCount = 1,
        };
        return Device.Api.LaunchKernelWith(&config, function, parameters, null);
    }

    private nint Function(string kernel, int sharedBytes)
    {
        var (module, api) = (Value, Api);
        if (_functions.TryGetValue(kernel, out var known) && known.SharedBytes >= sharedBytes) return known.Handle;
        nint function;
        fixed (byte* name = Encoding.UTF8.GetBytes(kernel + '\0'))
            api.Check(api.ModuleGetFunction(&function, module, name), "cuModuleGetFunction", kernel);
        if (sharedBytes > UsualSharedBytes)
        {
            api.Check(
                api.FunctionSetAttribute(function, AttributeDynamicSharedBytes, sharedBytes), "cuFuncSetAttribute",
                $"kernel {kernel}, {sharedBytes} bytes of shared memory");
        }

        _functions[kernel] = (function, Math.Max(sharedBytes, UsualSharedBytes));
        return function;
    }
}
