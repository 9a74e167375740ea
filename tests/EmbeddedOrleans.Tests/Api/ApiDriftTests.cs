namespace Krewe.EmbeddedOrleans.Tests.Api;

public sealed class ApiDriftTests : IClassFixture<ApiDriftTests.Metadata>
{
    /// <summary>Types of ours that Orleans keeps in assemblies which the feed does not have.</summary>
    private static readonly Dictionary<string, string> Elsewhere = new()
    {
        ["Orleans.AliasAttribute"] = "Orleans.Serialization.Abstractions",
        ["Orleans.GenerateSerializerAttribute"] = "Orleans.Serialization.Abstractions",
        ["Orleans.IdAttribute"] = "Orleans.Serialization.Abstractions",
        ["Orleans.ImmutableAttribute"] = "Orleans.Serialization.Abstractions",
        ["Orleans.Runtime.IPersistentState`1"] = "Orleans.Runtime",
        ["Orleans.Runtime.PersistentStateAttribute"] = "Orleans.Runtime",
        ["Orleans.Storage.InconsistentStateException"] = "Orleans.Core",
    };

    private readonly OrleansMetadata _metadata;

    public ApiDriftTests(Metadata metadata) => _metadata = metadata.Value;

    [Fact]
    public void Every_member_of_ours_is_the_same_in_the_published_assembly()
    {
        var compared = OurOrleansTypes().Where(type => !Elsewhere.ContainsKey(type.FullName!)).ToList();

        var differences = compared.SelectMany(ours => _metadata.Theirs.GetType(ours.FullName!) is { } theirs
            ? ApiComparison.Differences(ours, theirs)
            : [$"{ours.FullName} is not in {_metadata.Theirs.GetName().Name}; if another assembly has it, list it."]);

        Assert.Equal([], differences);
        Assert.True(compared.Count > 30, $"Only {compared.Count} types were compared.");
    }

    [Fact]
    public void The_list_of_types_from_other_assemblies_is_exact()
    {
        var ours = OurOrleansTypes().Select(type => type.FullName!).ToHashSet();

        Assert.All(Elsewhere, entry =>
        {
            Assert.Contains(entry.Key, ours);
            Assert.Null(_metadata.Theirs.GetType(entry.Key));
            // Where the published assembly refers to the type, it says itself who has it.
            if (_metadata.SourceOfReference.TryGetValue(entry.Key, out var source))
                Assert.Equal(source, entry.Value);
        });
    }

    [Theory]
    [InlineData("IGrainTimer", "Orleans.Runtime.IGrainTimer", "interval")]
    [InlineData("OneWayAttribute", "Orleans.Concurrency.OneWayAttribute", "attribute usage")]
    [InlineData("DeactivationReasonCode", "Orleans.DeactivationReasonCode", "ShuttingDown = 2")]
    [InlineData("IAddressable", "Orleans.Runtime.IAddressable", "System.ICloneable")]
    [InlineData("ReentrantAttribute", "Orleans.Concurrency.ReentrantAttribute", "kind")]
    [InlineData("IIncomingGrainCallFilter", "Orleans.IIncomingGrainCallFilter", "System.Object context")]
    [InlineData("IdSpan", "Orleans.Runtime.IdSpan", "Empty")]
    [InlineData("RequestContext", "Orleans.Runtime.RequestContext", "silently = False")]
    [InlineData("RequestContext", "Orleans.Runtime.RequestContext", "public static System.Object Get(")]
    [InlineData("IGrainObserver`1", "Orleans.IGrainObserver", "generic parameters")]
    public void A_drifted_type_is_caught(string ours, string theirs, string expected)
    {
        var drifted = _metadata.Tests.GetType($"{typeof(ApiDriftTests).Namespace}.Drifted.{ours}", throwOnError: true)!;

        var differences = ApiComparison.Differences(drifted, _metadata.Theirs.GetType(theirs, throwOnError: true)!);

        Assert.Contains(differences, difference => difference.Contains(expected, StringComparison.Ordinal));
    }

    private IEnumerable<Type> OurOrleansTypes() => _metadata.Ours.GetExportedTypes()
        .Where(type => type.Namespace is "Orleans" || type.Namespace!.StartsWith("Orleans.", StringComparison.Ordinal));

    public sealed class Metadata : IDisposable
    {
        internal OrleansMetadata Value { get; } = new();

        public void Dispose() => Value.Dispose();
    }
}
