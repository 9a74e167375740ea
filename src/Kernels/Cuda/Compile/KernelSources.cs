using System.Text;
using System.Text.RegularExpressions;

namespace Krewe.Kernels.Cuda;

/// <summary>A kernel source by its file name; "all.cu" includes the rest.</summary>
public sealed record KernelSource(string Name, string Text);

/// <summary>The embedded .cu and .cuh files.</summary>
public static partial class KernelSources
{
    public const string Main = "all.cu";

    private const string Prefix = "Cuda/";

    public static IReadOnlyList<KernelSource> All { get; } = Read();

    /// <summary>Names of the kernels of the files that <see cref="Main"/> includes.</summary>
    /// <param name="wgmma">Those by wgmma, too.</param>
    public static IEnumerable<string> Kernels(IReadOnlyList<KernelSource> sources, bool wgmma)
    {
        ArgumentNullException.ThrowIfNull(sources);
        var main = sources.Single(source => source.Name == Main);
        return sources.Where(source => main.Text.Contains($"\"{source.Name}\"", StringComparison.Ordinal))
            .SelectMany(source => Definition().Matches(source.Text)).Select(match => match.Groups[1].Value)
            .Where(kernel => wgmma || !kernel.EndsWith("_wgmma", StringComparison.Ordinal));
    }

    [GeneratedRegex(@"^KREWE_(?:EARLY_)?KERNEL\((\w+),", RegexOptions.Multiline)]
    private static partial Regex Definition();

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
