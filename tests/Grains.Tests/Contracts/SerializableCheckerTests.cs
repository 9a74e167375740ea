using System.Reflection;
using Krewe.Abstractions;
using Orleans;
using Orleans.Runtime;

namespace Krewe.Grains.Tests.Contracts;

public class SerializableCheckerTests
{
    [Fact]
    public void Everything_that_crosses_a_grain_interface_could_cross_to_another_silo()
    {
        var checker = new SerializableChecker();
        foreach (var grainInterface in SerializableChecker.GrainInterfaces(typeof(IRequestGrain).Assembly))
            checker.CheckInterface(grainInterface);
        checker.Check(typeof(KreweException), "thrown by any grain", mayChange: false);
        Assert.Empty(checker.Errors);
        // A walk that never set out would find nothing either.
        Assert.Superset(
            new HashSet<Type>
            {
                typeof(RequestSpec), typeof(WorkerIncarnation), typeof(RequestLogEntry), typeof(LeaseGrant),
            },
            checker.Walked.ToHashSet());
    }

    [Fact]
    public void Every_state_that_a_grain_stores_could_be_stored()
    {
        var states = typeof(IAttemptPort).Assembly.GetTypes()
            .Where(typeof(IGrain).IsAssignableFrom)
            .SelectMany(grain => grain.GetConstructors())
            .SelectMany(constructor => constructor.GetParameters())
            .Where(parameter => parameter.GetCustomAttribute<PersistentStateAttribute>() is not null)
            .Select(parameter => parameter.ParameterType.GetGenericArguments()[0])
            .ToArray();
        Assert.Contains(typeof(RequestRecordState), states);
        Assert.True(states.Length > 5, $"only {states.Length} states");
        Assert.All(states, state => Assert.Empty(
            new SerializableChecker().Check(state, "stored", mayChange: true).Errors));
    }

    [Theory]
    [InlineData(typeof(IUnserializable), "Plain has no [GenerateSerializer]")]
    [InlineData(typeof(IArray), "Int32[] has no [GenerateSerializer]")]
    [InlineData(typeof(IUnnumbered), "Unnumbered.Value has no [Id]")]
    [InlineData(typeof(IHiddenField), "HiddenField._hidden has no [Id]")]
    [InlineData(typeof(ITwins), "Twins.B has the [Id] 0 of another member")]
    [InlineData(typeof(IChanging), "Changing.Value can be changed")]
    [InlineData(typeof(IOpen), "Open is not sealed")]
    [InlineData(typeof(ICopied), "Copied is not [Immutable]")]
    [InlineData(typeof(INested), "Plain has no [GenerateSerializer]")]
    [InlineData(typeof(ISynchronous), "ISynchronous.Call returns Int32, which is no task")]
    public void A_type_that_could_not_cross_is_named(Type grainInterface, string error) =>
        Assert.Contains(new SerializableChecker().CheckInterface(grainInterface).Errors,
            found => found.Contains(error, StringComparison.Ordinal));

    private sealed record Plain;

    [GenerateSerializer, Immutable]
    private sealed record Unnumbered(int Value);

    [GenerateSerializer, Immutable]
    private sealed class HiddenField(int hidden)
    {
        private readonly int _hidden = hidden;

        public int Double => 2 * _hidden;
    }

    [GenerateSerializer, Immutable]
    private sealed record Twins([property: Id(0)] int A, [property: Id(0)] int B);

    [GenerateSerializer, Immutable]
    private sealed record Changing
    {
        [Id(0)] public int Value { get; set; }
    }

    [GenerateSerializer, Immutable]
    protected record Open;

    [GenerateSerializer]
    private sealed record Copied;

    [GenerateSerializer, Immutable]
    private sealed record Nested([property: Id(0)] System.Collections.Immutable.ImmutableArray<Plain> Inner);

    private interface IUnserializable : IGrainWithStringKey
    {
        Task Call(Plain plain);
    }

    private interface IArray : IGrainWithStringKey
    {
        Task<int[]> Call();
    }

    private interface IUnnumbered : IGrainWithStringKey
    {
        Task Call(Unnumbered value);
    }

    private interface IHiddenField : IGrainWithStringKey
    {
        Task Call(HiddenField value);
    }

    private interface ITwins : IGrainWithStringKey
    {
        Task Call(Twins value);
    }

    private interface IChanging : IGrainWithStringKey
    {
        Task Call(Changing value);
    }

    private interface IOpen : IGrainWithStringKey
    {
        Task Call(Open value);
    }

    private interface ICopied : IGrainWithStringKey
    {
        Task Call(Copied value);
    }

    private interface INested : IGrainWithStringKey
    {
        Task Call(Nested value);
    }

    private interface ISynchronous : IGrainWithStringKey
    {
        int Call();
    }
}
