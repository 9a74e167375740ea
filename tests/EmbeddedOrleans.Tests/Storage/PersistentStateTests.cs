using Orleans;
using Orleans.Runtime;
using Orleans.Storage;

namespace Krewe.EmbeddedOrleans.Tests.Storage;

public sealed class PersistentStateTests : IDisposable
{
    private static readonly StateKey Key = new(GrainId.Create("ledger", "k"), "count", "books");
    private readonly string _folder = Directory.CreateTempSubdirectory("krewe-state-").FullName;

    public enum Kind
    {
        Memory,
        Folder,
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(Kind.Memory)]
    [InlineData(Kind.Folder)]
    public async Task State_is_there_again_after_a_new_activation(Kind kind)
    {
        await using var host = await StartAsync(kind);
        var ledger = host.Grains.GetGrain<ILedgerGrain>("a/../B?");
        Assert.Equal((0, false), await ledger.Read());
        await ledger.Write(7);
        await ledger.Touch(99);

        await host.Directory.DeactivateIdleAsync(TimeSpan.Zero).WaitAsync(TestHost.Patience);

        Assert.Equal((7, true), await ledger.Read());
        await ledger.Clear();
        Assert.Equal((0, false), await ledger.Read());
        await host.Directory.DeactivateIdleAsync(TimeSpan.Zero).WaitAsync(TestHost.Patience);
        Assert.Equal((0, false), await ledger.Read());
    }

    [Fact]
    public async Task A_folder_outlives_the_host_and_a_torn_temporary_file_is_ignored()
    {
        await using (var host = await StartAsync(Kind.Folder))
            await host.Grains.GetGrain<ILedgerGrain>("k").Write(5);
        var path = new FolderStateStore(_folder).PathOf(Key);
        await File.WriteAllTextAsync(path + ".tmp", "{\"grain\":\"ledger/k\",\"sta");

        await using var next = await StartAsync(Kind.Folder);
        Assert.Equal((5, true), await next.Grains.GetGrain<ILedgerGrain>("k").Read());
        await next.Grains.GetGrain<ILedgerGrain>("k").Write(6);
        Assert.Equal([path], Directory.GetFiles(_folder, "*", SearchOption.AllDirectories));
    }

    [Theory]
    [InlineData("{\"grain\":\"ledger/k\",\"sta")]
    [InlineData("{\"grain\":\"ledger/k\",\"etag\":\"00\",\"state\":{\"Count\":9}}")]
    [InlineData("[]")]
    public async Task A_damaged_file_fails_the_activation_and_names_the_file(string content)
    {
        var path = new FolderStateStore(_folder).PathOf(Key);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        await File.WriteAllTextAsync(path, content);
        await using var host = await StartAsync(Kind.Folder);

        var error = await Assert.ThrowsAsync<InvalidDataException>(host.Grains.GetGrain<ILedgerGrain>("k").Read);

        Assert.Contains(path, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Kind.Memory)]
    [InlineData(Kind.Folder)]
    public async Task A_write_over_a_version_that_was_not_read_is_refused(Kind kind)
    {
        await using var host = await StartAsync(kind);
        var ledger = host.Grains.GetGrain<ILedgerGrain>("k");
        await ledger.Write(1);
        var other = new PersistentState<Ledger>(host.Host.Store, Key);
        await other.ReadStateAsync();
        other.State.Count = 2;
        await other.WriteStateAsync();

        var error = await Assert.ThrowsAsync<InconsistentStateException>(() => ledger.Write(3));

        Assert.Equal(other.Etag, error.StoredEtag);
        Assert.NotEqual(error.StoredEtag, error.CurrentEtag);
        await Assert.ThrowsAsync<InconsistentStateException>(ledger.Clear);
        await ledger.Reload();
        await ledger.Write(4);
    }

    [Fact]
    public void No_two_keys_share_a_file()
    {
        var store = new FolderStateStore(_folder);
        string[] keys = ["a", "A", "a.b", "a%2Eb", "..", "a/b", new string('x', 500), new string('x', 501), "ü"];

        var paths = keys.Select(key => store.PathOf(Key with { Grain = GrainId.Create("ledger", key) })).ToList();

        Assert.Equal(keys.Length, paths.Distinct(StringComparer.OrdinalIgnoreCase).Count());
        Assert.All(
            paths, path => Assert.StartsWith(_folder, Path.GetFullPath(path), StringComparison.Ordinal));
        Assert.All(paths, path => Assert.True(Path.GetFileName(path).Length < 200));
    }

    private Task<TestHost> StartAsync(Kind kind) => TestHost.StartAsync(configure: options => options.Storage =
        kind == Kind.Memory ? new GrainStorage.Memory() : new GrainStorage.Folder(_folder));
}

public interface ILedgerGrain : IGrainWithStringKey
{
    Task<(int Count, bool Exists)> Read();

    Task Write(int count);

    /// <summary>Changes the state without writing it.</summary>
    Task Touch(int count);

    Task Clear();

    Task Reload();
}

public sealed class Ledger
{
    public int Count { get; set; }

    /// <summary>A type whose JSON the default escaping would change when it is written again.</summary>
    public DateTimeOffset At { get; set; } = new(2026, 1, 2, 3, 4, 5, TimeSpan.FromHours(6));
}

public sealed class LedgerGrain([PersistentState("count", "books")] IPersistentState<Ledger> state)
        : Grain, ILedgerGrain
{
    public Task<(int Count, bool Exists)> Read() => Task.FromResult((state.State.Count, state.RecordExists));

    public Task Write(int count)
    {
        state.State.Count = count;
        return state.WriteStateAsync();
    }

    public Task Touch(int count)
    {
        state.State.Count = count;
        return Task.CompletedTask;
    }

    public Task Clear() => state.ClearStateAsync();

    public Task Reload() => state.ReadStateAsync();
}
