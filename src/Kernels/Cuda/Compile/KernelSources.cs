using System.Text;

namespace Krewe.Kernels.Cuda;

/// <summary>A kernel source by its file name; "all.cu" includes the rest.</summary>
public sealed record KernelSource(string Name, string Text);

/// <summary>The embedded .cu and .cuh files.</summary>
public static class KernelSources
{
    public const string Main = "all.cu";

    private const string Prefix = "Cuda/";

    public static IReadOnlyList<KernelSource> All { get; } = Read();

    private static KernelSource[] Read()
    {
        var assembly = typeof(KernelSources).Assembly;
        return
        [
            .. assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal))
                .Order(StringComparer.Ordinal).Select(name =>
                {
                    using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!, Encoding.UTF8);
                    return new KernelSource(name[Prefix.Length..], reader.ReadToEnd());
                }),
        ];
    }
}
