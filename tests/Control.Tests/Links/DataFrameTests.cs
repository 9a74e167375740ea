using Krewe.Control.Links;

namespace Krewe.Control.Tests.Links;

public sealed class DataFrameTests
{
    private static readonly byte[] Message = [1, 2, 3];
    private static readonly byte[] Payload = [9, 8, 7, 6, 5];

    [Fact]
    public void A_head_comes_out_as_it_went_in()
    {
        var head = DataFrame.Of(Message, Payload);
        var wire = new byte[DataFrame.HeaderBytes];
        head.Write(wire);
        Assert.Equal("KRWD"u8.ToArray(), wire[..4]);
        var read = DataFrame.Read(wire, payloadBytesMax: 5);
        Assert.Equal(head, read);
        read.Verify(Message, Payload);
    }

    [Fact]
    public void A_damaged_payload_or_message_is_found()
    {
        var head = DataFrame.Of(Message, Payload);
        Assert.Throws<FrameException>(() => head.Verify(Message, [9, 8, 7, 6, 4]));
        Assert.Throws<FrameException>(() => head.Verify([1, 2, 2], Payload));
    }

    [Theory]
    [InlineData(0)] // magic
    [InlineData(7)] // message bytes
    [InlineData(11)] // payload bytes
    [InlineData(16)] // reserved
    public void A_damaged_head_is_refused(int offset)
    {
        var wire = new byte[DataFrame.HeaderBytes];
        DataFrame.Of(Message, Payload).Write(wire);
        wire[offset] ^= 0x40;
        Assert.Throws<FrameException>(() => DataFrame.Read(wire, payloadBytesMax: 5));
    }

    [Fact]
    public void A_payload_larger_than_the_receiver_has_room_for_is_refused()
    {
        var wire = new byte[DataFrame.HeaderBytes];
        DataFrame.Of(Message, Payload).Write(wire);
        Assert.Throws<FrameException>(() => DataFrame.Read(wire, payloadBytesMax: 4));
    }
}
