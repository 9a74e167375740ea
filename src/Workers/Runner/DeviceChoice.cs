using Krewe.Abstractions;
using Krewe.Kernels.Cuda;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>What <see cref="WorkerDevice.Auto"/> comes to on this machine, for this model.</summary>
/// <param name="Device">Never Auto.</param>
/// <param name="Reason">Why it is not a GPU; null where it is, or where nobody asked.</param>
public readonly record struct DeviceChoice(WorkerDevice Device, string? Reason)
{
    /// <summary>Looks for a GPU and the libraries that its kernels need; leaves nothing open.</summary>
    public static DeviceChoice For(ModelConfig model, WorkerOptions options)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(options);
        if (options.Device != WorkerDevice.Auto) return new DeviceChoice(options.Device, null);
        try
        {
            if (ModelRunners.CudaKernelsFor(model, options.KvFormat).Refusal() is { } refusal)
                return new DeviceChoice(WorkerDevice.Cpu, refusal);
            var libraries = CudaModelRunner.LibrariesOf(options.Cuda);
            var driver = CudaDriver.Load(libraries);
            var compiler = Nvrtc.Load(libraries);
            foreach (var ordinal in options.Cuda.Devices)
            {
                using var device = driver.Open(ordinal);
                compiler.TargetFor(device.Info.Architecture);
            }

            return new DeviceChoice(WorkerDevice.Cuda, null);
        }
        catch (CudaException busy) when (busy is { IsPassing: true, IsContextLost: false })
        {
            // It is there. On a CPU this worker would be another than its neighbours, and slow, for good.
            return new DeviceChoice(WorkerDevice.Cuda, null);
        }
        catch (CudaException error)
        {
            return new DeviceChoice(WorkerDevice.Cpu, error.Message);
        }
    }
}
