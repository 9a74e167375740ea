using System.Reflection;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace Krewe.EmbeddedOrleans.Tests.Api;

/// <summary>The published Orleans.Core.Abstractions and our assemblies, loaded side by side as metadata.</summary>
/// <remarks>What the published assembly refers to and the feed does not have is replaced by empty stand-ins of the
/// same names, so that every signature resolves to a full name.</remarks>
internal sealed class OrleansMetadata : IDisposable
{
    private readonly MetadataLoadContext _context;

    public OrleansMetadata()
    {
        var path = typeof(OrleansMetadata).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
            .Single(attribute => attribute.Key == "OrleansApiAssembly").Value!;
        if (!File.Exists(path))
            throw new FileNotFoundException(
                $"'{path}' is missing: restore this test project again, which downloads the package.");
        string[] present =
        [
            path,
            .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator),
        ];
        SourceOfReference = ReadReferences(path);
        _context = new MetadataLoadContext(new Resolver(present, StandInsFor(SourceOfReference, present)));
        Theirs = _context.LoadFromAssemblyPath(path);
        Ours = _context.LoadFromAssemblyPath(typeof(EmbeddedOrleansOptions).Assembly.Location);
        Tests = _context.LoadFromAssemblyPath(typeof(OrleansMetadata).Assembly.Location);
    }

    public Assembly Theirs { get; }

    public Assembly Ours { get; }

    /// <summary>This test assembly, for the types of the positive control.</summary>
    public Assembly Tests { get; }

    /// <summary>Types of other assemblies that the published one names, with the assembly that has them.</summary>
    public IReadOnlyDictionary<string, string> SourceOfReference { get; }

    public void Dispose() => _context.Dispose();

    private static Dictionary<string, string> ReadReferences(string path)
    {
        using var file = new PEReader(File.OpenRead(path));
        var reader = file.GetMetadataReader();
        return reader.TypeReferences
            .Select(reader.GetTypeReference)
            .Where(type => type.ResolutionScope.Kind == HandleKind.AssemblyReference)
            .ToDictionary(
                type => $"{reader.GetString(type.Namespace)}.{reader.GetString(type.Name)}",
                type => reader.GetString(
                    reader.GetAssemblyReference((AssemblyReferenceHandle)type.ResolutionScope).Name));
    }

    private static Dictionary<string, byte[]> StandInsFor(
        IReadOnlyDictionary<string, string> references, IEnumerable<string> present)
    {
        var names = present.Select(Path.GetFileNameWithoutExtension).ToHashSet();
        return references
            .Where(reference => !names.Contains(reference.Value))
            .GroupBy(reference => reference.Value, reference => reference.Key)
            .ToDictionary(group => group.Key, group => StandIn(group.Key, group));
    }

    private static byte[] StandIn(string assembly, IEnumerable<string> types)
    {
        var builder = new PersistedAssemblyBuilder(new AssemblyName(assembly), typeof(object).Assembly);
        var module = builder.DefineDynamicModule(assembly);
        foreach (var name in types)
        {
            var type = module.DefineType(name, TypeAttributes.Public);
            if (name.Split('`') is [_, var arity])
                type.DefineGenericParameters(
                    [.. Enumerable.Range(0, int.Parse(arity, provider: null)).Select(i => $"T{i}")]);
            type.CreateType();
        }

        using var stream = new MemoryStream();
        builder.Save(stream);
        return stream.ToArray();
    }

    private sealed class Resolver(IEnumerable<string> present, IReadOnlyDictionary<string, byte[]> standIns)
        : PathAssemblyResolver(present)
    {
        public override Assembly? Resolve(MetadataLoadContext context, AssemblyName assemblyName) =>
            base.Resolve(context, assemblyName)
            ?? (standIns.TryGetValue(assemblyName.Name!, out var image) ? context.LoadFromByteArray(image) : null);
    }
}
