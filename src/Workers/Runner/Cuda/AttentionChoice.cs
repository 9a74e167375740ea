using Krewe.Abstractions;
using Krewe.Kernels.Cuda;

namespace Krewe.Workers;

/// <summary>
/// Compiles a GPU's kernels, with Hopper's prefill attention where <c>--cuda-attention</c> allows it and the GPU has
/// been seen to give the same bits with it.
/// </summary>
/// <param name="Kernels">The caller's to dispose.</param>
/// <param name="Reason">By what a Hopper GPU multiplies, and why; null on others, which have no choice.</param>
internal readonly record struct AttentionChoice(CudaKernels Kernels, string? Reason)
{
    /// <exception cref="CudaException">wgmma was demanded and cannot be, or the kernels do not compile.</exception>
    public static AttentionChoice Compile(
        CudaDevice device, Nvrtc compiler, KernelCache cache, KernelOptions options, CudaAttention wanted)
    {
        if (wanted == CudaAttention.Mma) return new(new CudaKernels(device, compiler, cache, options), null);
        var refusal = WgmmaTrial.Refusal(device.Info, compiler, options);
        if (refusal is null)
        {
            var kernels = new CudaKernels(device, compiler, cache, options with { Wgmma = true });
            try
            {
                refusal = WgmmaTrial.Run(device, kernels);
                if (refusal is null)
                {
                    return new(
                        kernels, "wgmma: in the trial at the start its bits were those of mma.sync and of decode");
                }
            }
            catch (CudaException error)
            {
                // A broken context has no second try in this process.
                kernels.Dispose();
                throw new CudaException(
                    $"The trial of wgmma failed: {error.Message} Start with --cuda-attention mma to do without.");
            }

            kernels.Dispose();
        }

        if (wanted == CudaAttention.Wgmma)
        {
            throw new CudaException(
                $"--cuda-attention wgmma: {refusal}. Start with --cuda-attention auto or mma.");
        }

        return new(
            new CudaKernels(device, compiler, cache, options),
            device.Info.Architecture == CudaKernels.WgmmaArchitecture ? $"mma.sync, not wgmma: {refusal}" : null);
    }
}
