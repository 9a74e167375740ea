using System.Reflection;
using Microsoft.Extensions.Options;

namespace Krewe.EmbeddedOrleans;

/// <summary>Where grain states rest.</summary>
public abstract record GrainStorage
{
    private GrainStorage()
    {
    }

    /// <summary>In this process: gone when it ends.</summary>
    public sealed record Memory : GrainStorage;

    /// <summary>One JSON file per grain and state under <paramref name="Path"/>, created when needed.</summary>
    public sealed record Folder(string Path) : GrainStorage;
}

/// <summary>Settings of the embedded host.</summary>
public sealed class EmbeddedOrleansOptions
{
    public static readonly TimeSpan DefaultIdleAge = TimeSpan.FromMinutes(15);

    public static readonly TimeSpan DefaultResponseTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Assemblies that contain grain classes. At least one.</summary>
    public IList<Assembly> GrainAssemblies { get; } = [];

    public GrainStorage Storage { get; set; } = new GrainStorage.Memory();

    /// <summary>An activation without calls for this long ends.</summary>
    public TimeSpan IdleAge { get; set; } = DefaultIdleAge;

    /// <summary>A caller waits this long for an answer; also the patience with OnActivateAsync and
    /// OnDeactivateAsync, told by their token.</summary>
    public TimeSpan ResponseTimeout { get; set; } = DefaultResponseTimeout;

    /// <exception cref="OptionsValidationException">Names everything that is wrong.</exception>
    internal void Validate()
    {
        List<string> errors = [];
        if (GrainAssemblies.Count == 0)
            errors.Add($"{nameof(GrainAssemblies)} is empty: add the assembly of the grain classes.");
        if (IdleAge <= TimeSpan.Zero)
            errors.Add($"{nameof(IdleAge)} is {IdleAge}: it must be positive.");
        if (ResponseTimeout <= TimeSpan.Zero)
            errors.Add($"{nameof(ResponseTimeout)} is {ResponseTimeout}: it must be positive.");
        if (Storage is GrainStorage.Folder { Path: "" })
            errors.Add($"{nameof(Storage)} is a folder without a path: name one, or choose memory.");
        if (errors.Count > 0)
            throw new OptionsValidationException(
                nameof(EmbeddedOrleansOptions), typeof(EmbeddedOrleansOptions), errors);
    }
}
