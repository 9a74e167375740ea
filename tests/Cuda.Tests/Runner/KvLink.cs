using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Workers;
using Microsoft.Extensions.Logging;

namespace Krewe.Cuda.Tests.Runner;

/// <summary>A real data link between two arenas of this process.</summary>
internal sealed class KvLink : IDisposable
{
    private readonly TcpBlockTransport _holding;
    private readonly TcpBlockTransport _pulling;
    private readonly IBlockListener _listener;

    private KvLink(TcpBlockTransport holding, TcpBlockTransport pulling)
    {
        (_holding, _pulling) = (holding, pulling);
        _listener = holding.Listen("127.0.0.1", 0);
    }

    public static DataMessage Message { get; } = new() { Renew = new Renew() };

    public IDataChannel Holder { get; private set; } = null!;

    public IDataChannel Puller { get; private set; } = null!;

    public static async Task<KvLink> OpenAsync(
        IKvArena source, IKvArena target, KvTransport choice, ILogger? logger = null)
    {
        var link = new KvLink(
            new TcpBlockTransport(source, choice, TimeProvider.System),
            new TcpBlockTransport(target, choice, TimeProvider.System, logger: logger));
        var accepting = link.AcceptAsync();
        link.Puller = await link._pulling.ConnectAsync(
            new DataAddress { WorkerId = "holder", Host = "127.0.0.1", Port = (uint)link._listener.Port },
            bytes: 0, CancellationToken.None);
        link.Holder = await accepting;
        return link;
    }

    public static BlockSlice[] Whole(Krewe.Abstractions.KvGeometry geometry, int block) =>
        [new BlockSlice(new BlockId(block), 0, geometry.BlockBytes)];

    public Task MoveAsync(Krewe.Abstractions.KvGeometry geometry, int from, int to) =>
        MoveAsync(Whole(geometry, from), Whole(geometry, to));

    public async Task MoveAsync(BlockSlice[] payload, BlockSlice[] place)
    {
        await Holder.SendAsync(Message, payload, CancellationToken.None);
        await Puller.ReceiveAsync((_, _) => place, CancellationToken.None);
    }

    public void Dispose()
    {
        Puller.Dispose();
        Holder.Dispose();
        _listener.Dispose();
        _pulling.Dispose();
        _holding.Dispose();
    }

    private async Task<IDataChannel> AcceptAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        return (await (await _listener.AcceptAsync(limit.Token)).OpenAsync(limit.Token))!;
    }
}

/// <summary>Sends each layer in the middle of the step that computes it.</summary>
internal sealed class LayerSender(KvLink link, Krewe.Abstractions.KvGeometry geometry, int[] from, int[] to)
    : ILayerObserver
{
    public int Layers { get; private set; }

    public void LayerStored(int layer)
    {
        Layers++;
        Task.Run(() => link.MoveAsync(Slices(from, layer), Slices(to, layer))).GetAwaiter().GetResult();
    }

    private BlockSlice[] Slices(int[] blocks, int layer) => Array.ConvertAll(
        blocks, block => new BlockSlice(new BlockId(block), layer * geometry.LayerBytes, geometry.LayerBytes));
}

/// <summary>Keeps what is logged.</summary>
internal sealed class Told : ILogger
{
    public List<string> Lines { get; } = [];

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter) => Lines.Add(formatter(state, exception));
}
