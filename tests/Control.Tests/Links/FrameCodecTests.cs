using System.Buffers;
using System.Buffers.Binary;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;

namespace Krewe.Control.Tests.Links;

public sealed class FrameCodecTests
{
    [Fact]
    public void Messages_come_out_as_they_went_in_and_in_order()
    {
        var wire = new ArrayBufferWriter<byte>();
        for (ulong i = 0; i < 20; i++)
            FrameCodec.Write(wire, new WorkerMessage { Heartbeat = new Heartbeat { Sequence = i } });
        FrameCodec.Write(wire, new WorkerMessage());

        var buffer = new ReadOnlySequence<byte>(wire.WrittenMemory);
        for (ulong i = 0; i < 20; i++)
        {
            Assert.True(FrameCodec.TryRead(ref buffer, WorkerMessage.Parser, out var message));
            Assert.Equal(i, message!.Heartbeat.Sequence);
        }

        Assert.True(FrameCodec.TryRead(ref buffer, WorkerMessage.Parser, out var empty));
        Assert.Equal(WorkerMessage.BodyOneofCase.None, empty!.BodyCase);
        Assert.False(FrameCodec.TryRead(ref buffer, WorkerMessage.Parser, out _));
        Assert.Equal(0, buffer.Length);
    }

    [Fact]
    public void A_frame_cut_anywhere_is_not_taken()
    {
        var wire = new ArrayBufferWriter<byte>();
        FrameCodec.Write(wire, new SiloMessage { Abort = new AbortSequence { Reason = "the client went away" } });
        for (var bytes = 0; bytes < wire.WrittenCount; bytes++)
        {
            var buffer = new ReadOnlySequence<byte>(wire.WrittenMemory[..bytes]);
            Assert.False(FrameCodec.TryRead(ref buffer, SiloMessage.Parser, out _));
            Assert.Equal(bytes, buffer.Length);
        }
    }

    [Fact]
    public void A_frame_is_read_across_segments()
    {
        var wire = new ArrayBufferWriter<byte>();
        FrameCodec.Write(wire, new SiloMessage { Abort = new AbortSequence { Reason = "the client went away" } });
        var first = new Segment(wire.WrittenMemory[..2]);
        var last = first.Append(wire.WrittenMemory[2..9]).Append(wire.WrittenMemory[9..]);
        var buffer = new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length);
        Assert.True(FrameCodec.TryRead(ref buffer, SiloMessage.Parser, out var message));
        Assert.Equal("the client went away", message!.Abort.Reason);
    }

    [Fact]
    public void A_length_beyond_the_limit_is_refused_before_anything_is_kept()
    {
        var garbage = new byte[8];
        BinaryPrimitives.WriteUInt32LittleEndian(garbage, uint.MaxValue);
        var buffer = new ReadOnlySequence<byte>(garbage);
        var error = Assert.Throws<FrameException>(() => FrameCodec.TryRead(ref buffer, SiloMessage.Parser, out _));
        Assert.Contains("does not speak this protocol", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Bytes_that_are_no_message_are_refused()
    {
        var garbage = new byte[] { 4, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF };
        var buffer = new ReadOnlySequence<byte>(garbage);
        Assert.Throws<FrameException>(() => FrameCodec.TryRead(ref buffer, SiloMessage.Parser, out _));
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(ReadOnlyMemory<byte> memory) => Memory = memory;

        public Segment Append(ReadOnlyMemory<byte> memory)
        {
            var next = new Segment(memory) { RunningIndex = RunningIndex + Memory.Length };
            Next = next;
            return next;
        }
    }
}
