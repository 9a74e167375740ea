using System.IO.Pipelines;
using System.Net.Sockets;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;

namespace Krewe.Silo.Tests.Harness;

/// <summary>The worker's end of a control link, over a real socket.</summary>
internal sealed class ControlLink : IAsyncDisposable
{
    private readonly TcpClient _client = new();
    private readonly SemaphoreSlim _sending = new(1);
    private PipeReader? _reader;
    private NetworkStream? _stream;

    public async Task ConnectAsync(int port)
    {
        await _client.ConnectAsync("127.0.0.1", port);
        _client.NoDelay = true;
        _stream = _client.GetStream();
        _reader = PipeReader.Create(_stream);
    }

    public async Task SendAsync(WorkerMessage message)
    {
        var frame = new System.Buffers.ArrayBufferWriter<byte>();
        FrameCodec.Write(frame, message);
        await SendBytesAsync(frame.WrittenMemory);
    }

    public async Task SendBytesAsync(ReadOnlyMemory<byte> bytes)
    {
        await _sending.WaitAsync();
        try
        {
            await _stream!.WriteAsync(bytes);
        }
        finally
        {
            _sending.Release();
        }
    }

    /// <summary>Null when the silo closed the link.</summary>
    public async Task<SiloMessage?> ReadAsync()
    {
        while (true)
        {
            ReadResult read;
            try
            {
                if (!_reader!.TryRead(out read)) read = await _reader.ReadAsync();
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
            {
                return null;
            }

            var buffer = read.Buffer;
            if (FrameCodec.TryRead(ref buffer, SiloMessage.Parser, out var message))
            {
                _reader.AdvanceTo(buffer.Start);
                return message;
            }

            _reader.AdvanceTo(buffer.Start, buffer.End);
            if (read.IsCompleted) return null;
        }
    }

    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return ValueTask.CompletedTask;
    }
}
