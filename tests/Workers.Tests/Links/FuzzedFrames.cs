using System.Buffers.Binary;
using Google.Protobuf;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;

namespace Krewe.Workers.Tests;

/// <summary>Frames that no peer would send, for both of a worker's links: a seed makes the same ones again.</summary>
internal sealed class FuzzedFrames(int seed)
{
    private readonly Random _random = new(seed);

    public static bool IsLong => Environment.GetEnvironmentVariable("KREWE_LONG_TESTS") == "1";

    /// <summary>For the control link: a length and a message, one of them often wrong.</summary>
    public byte[] NextControl()
    {
        var body = _random.Next(3) == 0 ? RandomBytes() : NextSiloMessage().ToByteArray();
        var length = _random.Next(4) switch
        {
            0 => _random.Next(),
            1 => -_random.Next(),
            2 => _random.Next(body.Length + 1),
            _ => body.Length,
        };
        var frame = new byte[sizeof(int) + body.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, length);
        body.CopyTo(frame, sizeof(int));
        return Damaged(frame);
    }

    /// <summary>For the data link: magic, lengths and checksum round a message, one of them often wrong.</summary>
    public byte[] NextData()
    {
        const int HeadBytes = 20;
        var body = _random.Next(3) == 0 ? RandomBytes() : NextDataMessage().ToByteArray();
        var payload = _random.Next(3) == 0 ? RandomBytes() : [];
        var frame = new byte[HeadBytes + body.Length + payload.Length];
        "KRWD"u8.CopyTo(frame);
        foreach (var (at, length) in new[] { (4, body.Length), (8, payload.Length) })
        {
            var told = _random.Next(6) == 0 ? _random.Next() : length;
            BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(at), told);
        }

        var checksum = Crc32C.Compute(payload, Crc32C.Compute(body));
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(12), _random.Next(6) == 0 ? 1 : checksum);
        body.CopyTo(frame, HeadBytes);
        payload.CopyTo(frame, HeadBytes + body.Length);
        return Damaged(frame);
    }

    private SiloMessage NextSiloMessage() => _random.Next(6) switch
    {
        0 => new SiloMessage { Welcome = new HelloReply { Accepted = true } },
        1 => new SiloMessage { Abort = new AbortSequence { Key = NextKey() } },
        2 => new SiloMessage { KvKeep = new KvKeep { Hash = ByteString.CopyFrom(RandomBytes()) } },
        3 => new SiloMessage { Start = new StartSequence() },
        4 => new SiloMessage
        {
            Start = new StartSequence
            {
                Key = NextKey(),
                Part = (SequencePart)_random.Next(50),
                PromptTokens = { (uint)_random.Next() },
                Sampling = new SamplingParameters { Constraint = _random.Next(2) == 0 ? "{}" : "" },
            },
        },
        _ => new SiloMessage(),
    };

    private DataMessage NextDataMessage() => _random.Next(7) switch
    {
        0 => new DataMessage { Attach = new Attach() },
        1 => new DataMessage { Hello = new PullHello { Protocol = (uint)_random.Next(4) } },
        2 => new DataMessage { Migrate = new MigrateHello() },
        3 => new DataMessage { FetchPrefix = new FetchPrefix { Hashes = ByteString.CopyFrom(RandomBytes()) } },
        4 => new DataMessage { Pull = new PullBlocks { Count = (uint)_random.Next() } },
        5 => new DataMessage { Commit = new Commit() },
        _ => new DataMessage(),
    };

    private Krewe.Abstractions.Wire.SequenceKey NextKey() => new()
    {
        RequestId = _random.Next(2) == 0 ? "" : "x",
        Epoch = (uint)_random.Next(),
        Choice = (uint)_random.Next(),
    };

    private byte[] Damaged(byte[] frame)
    {
        if (_random.Next(4) == 0) frame[_random.Next(frame.Length)] ^= (byte)_random.Next(1, 256);
        return _random.Next(8) == 0 ? frame[.._random.Next(frame.Length)] : frame;
    }

    private byte[] RandomBytes()
    {
        var bytes = new byte[_random.Next(200)];
        _random.NextBytes(bytes);
        return bytes;
    }
}
