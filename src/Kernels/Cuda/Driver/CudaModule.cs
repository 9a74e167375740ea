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

    public CudaModule(CudaDevice device, byte[] image)
        : base(device, Load(device, image))
    {
    }

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
            var status = Device.Api.LaunchKernel(
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

    private static nint Load(CudaDevice device, byte[] image)
    {
        device.MakeCurrent();
        nint module;
        fixed (byte* data = image)
            device.Api.Check(device.Api.ModuleLoadData(&module, data), "cuModuleLoadData", $"{image.Length} bytes");
        return module;
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
