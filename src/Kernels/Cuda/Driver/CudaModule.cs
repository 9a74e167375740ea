using System.Collections.Concurrent;
using System.Text;

namespace Krewe.Kernels.Cuda;

/// <summary>Thread blocks of a grid, or threads of a block.</summary>
internal readonly record struct Extent(int X, int Y = 1, int Z = 1)
{
    public override string ToString() => $"{X} x {Y} x {Z}";
}

/// <summary>A compiled image on a GPU and its kernels by name.</summary>
internal sealed unsafe class CudaModule : IDisposable
{
    /// <summary>Dynamic shared memory that a kernel has without asking.</summary>
    private const int UsualSharedBytes = 48 * 1024;

    private const int AttributeDynamicSharedBytes = 8;

    private readonly CudaDevice _device;
    private readonly ConcurrentDictionary<string, (nint Handle, int SharedBytes)> _functions = [];
    private nint _handle;

    public CudaModule(CudaDevice device, byte[] image)
    {
        _device = device;
        device.MakeCurrent();
        nint module;
        fixed (byte* data = image)
            device.Api.Check(device.Api.ModuleLoadData(&module, data), "cuModuleLoadData", $"{image.Length} bytes");
        _handle = module;
    }

    /// <summary>Queues one grid of a kernel.</summary>
    /// <param name="arguments">The struct of the kernel's source.</param>
    /// <param name="shapes">For the error message.</param>
    public void Launch<T>(
        string kernel, Extent grid, Extent block, int sharedBytes, CudaStream stream, in T arguments, string shapes)
        where T : unmanaged
    {
        ObjectDisposedException.ThrowIf(_handle == 0, this);
        var function = Function(kernel, sharedBytes);
        fixed (T* pointer = &arguments)
        {
            var parameters = (void*)pointer;
            var status = _device.Api.LaunchKernel(
                function, (uint)grid.X, (uint)grid.Y, (uint)grid.Z, (uint)block.X, (uint)block.Y, (uint)block.Z,
                (uint)sharedBytes, stream.Handle, &parameters, null);
            if (status == 0) return;
            _device.Api.Check(
                status, "cuLaunchKernel",
                $"kernel {kernel}, {shapes}, grid {grid}, block {block}, {sharedBytes} bytes of shared memory");
        }
    }

    public void Dispose()
    {
        if (_handle == 0) return;
        var handle = _handle;
        _handle = 0;
        _device.MakeCurrent();
        _device.Api.Check(_device.Api.ModuleUnload(handle), "cuModuleUnload");
    }

    private nint Function(string kernel, int sharedBytes)
    {
        _device.MakeCurrent();
        if (_functions.TryGetValue(kernel, out var known) && known.SharedBytes >= sharedBytes) return known.Handle;
        nint function;
        fixed (byte* name = Encoding.UTF8.GetBytes(kernel + '\0'))
            _device.Api.Check(_device.Api.ModuleGetFunction(&function, _handle, name), "cuModuleGetFunction", kernel);
        if (sharedBytes > UsualSharedBytes)
        {
            _device.Api.Check(
                _device.Api.FunctionSetAttribute(function, AttributeDynamicSharedBytes, sharedBytes),
                "cuFuncSetAttribute", $"kernel {kernel}, {sharedBytes} bytes of shared memory");
        }

        _functions[kernel] = (function, Math.Max(sharedBytes, UsualSharedBytes));
        return function;
    }
}
