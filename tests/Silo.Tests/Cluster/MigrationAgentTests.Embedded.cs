using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Threading.Channels;
using Krewe.Abstractions;
using Krewe.Control.Cluster;
using Krewe.Silo.Hosting;
using Krewe.Silo.Links;
using Krewe.Silo.Tests.Harness;
using Krewe.Workers.Tests;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Orleans;
using Orleans.Runtime;

namespace Krewe.Silo.Tests.Cluster;

public sealed class MigrationAgentTests
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(100);

    [Fact]
    public async Task An_answer_from_before_a_wish_does_not_undo_it()
    {
        await using var harness = await SiloHarness.StartAsync();
        var (time, pool, view) = (new ManualTime(), new PlayedPool(), new ClusterView());
        await using var lines = new Lines(view, time);
        using var agent = Create(harness, view, pool, time);
        await agent.StartAsync(CancellationToken.None);
        var before = await NextAsync(time, pool);

        await agent.SetWishAsync("a", WorkerWish.Cordon);
        before.SetResult(Answer());

        // The next question comes when the answer before it has been followed.
        var second = await NextAsync(time, pool);
        Assert.Equal(WorkerState.Draining, view.Find("a")!.View.State);
        second.SetResult(Answer(("a", WorkerWish.Cordon)));
        var third = await NextAsync(time, pool);
        Assert.Equal(WorkerState.Draining, view.Find("a")!.View.State);
        Assert.Equal(WorkerWish.Cordon, agent.Wishes["a"]);
        // The positive control: an answer to a question of after the wish is followed.
        third.SetResult(Answer());
        var last = await NextAsync(time, pool);
        Assert.Equal(WorkerState.Ready, view.Find("a")!.View.State);
        last.SetResult(Answer());
        await agent.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task A_pool_that_was_made_anew_is_told_no_wish_that_was_taken_back()
    {
        await using var harness = await SiloHarness.StartAsync();
        var (time, pool, view) = (new ManualTime(), new PlayedPool(), new ClusterView());
        await using var lines = new Lines(view, time);
        using var agent = Create(harness, view, pool, time);
        await agent.StartAsync(CancellationToken.None);
        (await NextAsync(time, pool)).SetResult(Answer(("a", WorkerWish.Drain), ("b", WorkerWish.Cordon)));
        var anew = await NextAsync(time, pool);

        await agent.SetWishAsync("a", WorkerWish.Serve);
        anew.SetResult(Answer() with { Life = 7 });

        // It is asked once more, behind what it was told.
        (await NextAsync(time, pool)).SetResult(Answer(("b", WorkerWish.Cordon)) with { Life = 7 });
        (await NextAsync(time, pool)).SetResult(Answer(("b", WorkerWish.Cordon)) with { Life = 7 });
        Assert.Equal([("a", WorkerWish.Serve), ("b", WorkerWish.Cordon)], pool.Told);
        await agent.StopAsync(CancellationToken.None);
    }

    private static MigrationAgent Create(
        SiloHarness harness, ClusterView view, PlayedPool pool, ManualTime time) => new(
        view, harness.Streams, harness.Silo.Services.GetRequiredService<ServedModel>(), SiloHarness.DefaultOptions(),
        new PlayedGrains(pool), new DecisionLog(), time, NullLogger<MigrationAgent>.Instance);

    private static PoolAnswer Answer(params (string Worker, WorkerWish Wish)[] wishes) =>
        new([], wishes.ToImmutableDictionary(wish => wish.Worker, wish => wish.Wish));

    private static async Task<TaskCompletionSource<PoolAnswer>> NextAsync(ManualTime time, PlayedPool pool)
    {
        var asked = pool.Asked.ReadAsync().AsTask();
        await time.AdvanceUntilAsync(asked, Step);
        return await asked;
    }

    /// <summary>Two workers that say nothing.</summary>
    private sealed class Lines : IAsyncDisposable
    {
        private readonly List<LinkConnection> _connections = [];

        public Lines(ClusterView view, TimeProvider time)
        {
            foreach (var id in (string[])["a", "b"])
            {
                var connection = new LinkConnection(Stream.Null, new ClusterOptions(), time);
                _connections.Add(connection);
                view.Add(new WorkerLink(
                    connection,
                    new WorkerDescriptor
                    {
                        Worker = new WorkerIncarnation(id, 1),
                        Role = WorkerRole.Mixed,
                        ModelName = TestModel.Name,
                        ModelFingerprint = "f",
                        Numerics = "n",
                        DataHost = "127.0.0.1",
                        DataPort = 1,
                        TotalBlocks = 100,
                        BlockTokens = 16,
                        MaxContextTokens = 1024,
                        ProcessId = 1,
                    },
                    linkEpoch: 1));
            }
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var connection in _connections) await connection.DisposeAsync();
        }
    }

    private sealed class PlayedPool : IPoolGrain
    {
        private readonly Channel<TaskCompletionSource<PoolAnswer>> _asked =
            Channel.CreateUnbounded<TaskCompletionSource<PoolAnswer>>();

        /// <summary>Questions that wait for the test's answer.</summary>
        public ChannelReader<TaskCompletionSource<PoolAnswer>> Asked => _asked.Reader;

        public Task<PoolAnswer> ExchangeAsync(PoolReport report)
        {
            var answer = new TaskCompletionSource<PoolAnswer>(TaskCreationOptions.RunContinuationsAsynchronously);
            _asked.Writer.TryWrite(answer);
            return answer.Task;
        }

        public ConcurrentQueue<(string Worker, WorkerWish Wish)> Told { get; } = [];

        public Task SetWishAsync(string workerId, WorkerWish wish)
        {
            Told.Enqueue((workerId, wish));
            return Task.CompletedTask;
        }
    }

    private sealed class PlayedGrains(IPoolGrain pool) : IGrainFactory
    {
        public TGrainInterface GetGrain<TGrainInterface>(string primaryKey, string? grainClassNamePrefix = null)
            where TGrainInterface : IGrainWithStringKey => (TGrainInterface)pool;

        public TGrainInterface GetGrain<TGrainInterface>(GrainId grainId)
            where TGrainInterface : IAddressable => throw new NotSupportedException();

        public TGrainObserverInterface CreateObjectReference<TGrainObserverInterface>(IGrainObserver obj)
            where TGrainObserverInterface : IGrainObserver => throw new NotSupportedException();

        public void DeleteObjectReference<TGrainObserverInterface>(IGrainObserver obj)
            where TGrainObserverInterface : IGrainObserver => throw new NotSupportedException();
    }
}
