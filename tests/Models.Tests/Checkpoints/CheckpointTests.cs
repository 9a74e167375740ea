namespace Krewe.Models.Tests.Checkpoints;

public sealed class CheckpointTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public unsafe void Tensors_are_read_in_place_and_convert_exactly()
    {
        Write(SafetensorsFixture.Header, SafetensorsFixture.Data);
        using var checkpoint = Checkpoint.Open(_folder.FullPath);
        Assert.Equal(["a", "b"], checkpoint.Names.Order());
        Assert.True(checkpoint.Contains("a"));
        Assert.False(checkpoint.Contains("__metadata__"));

        var a = checkpoint.Get("a", 2, 3);
        Assert.Equal((DType.F32, 6L, 24L), (a.Type, a.ElementCount, a.ByteCount));
        Assert.Equal([2, 3], a.Shape);
        Assert.Equal(1f, *(float*)(a.Data + 4));
        var part = new float[2];
        a.CopyTo(part, elementOffset: 4);
        Assert.Equal([4f, 5f], part);

        var b = new float[4];
        checkpoint.Get("b").CopyTo(b);
        Assert.Equal([1f, -2f, 0.5f, 3f], b);
        Assert.Throws<ArgumentOutOfRangeException>(() => checkpoint.Get("b").CopyTo(new float[4], 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => checkpoint.Get("b").CopyTo(new float[1], -1));
    }

    [Theory]
    [InlineData("F16")]
    [InlineData("BF16")]
    public void Every_half_value_converts_as_its_definition_says(string type)
    {
        var bits = Enumerable.Range(0, 65536).Select(i => (ushort)i).ToArray();
        Write($$"""{"t":{"dtype":"{{type}}","shape":[65536],"data_offsets":[0,131072]} }""",
            [.. bits.SelectMany(BitConverter.GetBytes)]);
        using var checkpoint = Checkpoint.Open(_folder.FullPath);
        var floats = new float[65536];
        checkpoint.Get("t", 65536).CopyTo(floats);
        for (var i = 0; i < bits.Length; i++)
        {
            var expected = type == "F16" ? (float)BitConverter.UInt16BitsToHalf(bits[i])
                : BitConverter.UInt32BitsToSingle((uint)bits[i] << 16);
            Assert.True(float.IsNaN(expected) ? float.IsNaN(floats[i]) : expected.Equals(floats[i]),
                $"{type} 0x{i:X4}");
        }
    }

    [Fact]
    public void Asking_for_what_is_not_there_names_the_tensor()
    {
        Write(SafetensorsFixture.Header.Replace("BF16", "I16", StringComparison.Ordinal), SafetensorsFixture.Data);
        using var checkpoint = Checkpoint.Open(_folder.FullPath);
        Assert.Contains("tensor c is not in", Message(() => checkpoint.Get("c")), StringComparison.Ordinal);
        var shape = Message(() => checkpoint.Get("a", 3, 2));
        Assert.Contains("tensor a has the shape [2, 3]", shape, StringComparison.Ordinal);
        Assert.Contains("[3, 2]", shape, StringComparison.Ordinal);
        Assert.Contains("tensor b is of type I16", Message(() => checkpoint.Get("b")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"shape\":[2,3]", "\"shape\":[2,4]", "tensor a of F32 [2, 4] needs 32 bytes")]
    [InlineData("\"shape\":[2,3]", "\"shape\":[-2,-3]", "a.shape[0]")]
    [InlineData("\"shape\":[2,3]", "\"shape\":[2147483647,2147483647,2147483647,0]", "2^60")]
    [InlineData("\"shape\":[2,3]", "\"shape\":[6.0]", "a.shape[0]")]
    [InlineData("[0,24]", "[0,25]", "span 25")]
    [InlineData("[0,24]", "[24,0]", "data_offsets [24, 0]")]
    [InlineData("[0,24]", "[0,24,24]", "two ascending offsets")]
    [InlineData("[0,24]", "[-24,0]", "a byte offset")]
    [InlineData("[24,32]", "[20,28]", "tensor b starts at byte 20")]
    [InlineData("[24,32]", "[9007199254740992,9007199254741000]", "within the 32 bytes")]
    [InlineData("\"b\":", "\"a\":", "a is defined twice")]
    [InlineData("F32", "F31", "unknown dtype \"F31\"")]
    [InlineData("\"dtype\":\"F32\",", "", "\"a.dtype\" is missing")]
    [InlineData("{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}", "7", "\"a\" must be an object")]
    [InlineData("}}", "}", "not valid JSON")]
    public void A_wrong_header_is_refused_with_the_file_and_the_tensor(string from, string to, string part)
    {
        Write(SafetensorsFixture.Header.Replace(from, to, StringComparison.Ordinal), SafetensorsFixture.Data);
        var message = Message(() => Checkpoint.Open(_folder.FullPath));
        Assert.StartsWith("model.safetensors", message, StringComparison.Ordinal);
        Assert.Contains(part, message, StringComparison.Ordinal);
    }

    [Fact]
    public void Holes_spare_bytes_and_truncation_are_refused()
    {
        Write("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}""", new byte[8]);
        Assert.Contains("no tensor covers bytes 0 to 4", Message(() => Checkpoint.Open(_folder.FullPath)),
            StringComparison.Ordinal);
        Write(SafetensorsFixture.Header, [.. SafetensorsFixture.Data, 0]);
        Assert.Contains("end at byte 32 of the data, the file has 33", Message(() => Checkpoint.Open(_folder.FullPath)),
            StringComparison.Ordinal);

        var whole = SafetensorsFixture.File(SafetensorsFixture.Header, SafetensorsFixture.Data);
        for (var length = 0; length < whole.Length; length++)
        {
            _folder.Write("model.safetensors", whole[..length]);
            Assert.StartsWith("model.safetensors", Message(() => Checkpoint.Open(_folder.FullPath)),
                StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(0xFFFFFFFFFFFFFFFFul, "is above")]
    [InlineData(0x8000000000000000ul, "is above")]
    [InlineData(99_999_999ul, "does not fit")]
    [InlineData(0ul, "does not start with '{'")]
    public void A_wrong_header_length_is_refused(ulong length, string part)
    {
        var file = SafetensorsFixture.File(SafetensorsFixture.Header, SafetensorsFixture.Data);
        BitConverter.GetBytes(length).CopyTo(file, 0);
        _folder.Write("model.safetensors", file);
        Assert.Contains(part, Message(() => Checkpoint.Open(_folder.FullPath)), StringComparison.Ordinal);
    }

    [Fact]
    public void Random_damage_to_the_header_never_crashes_or_leaves_the_file()
    {
        var whole = SafetensorsFixture.File(SafetensorsFixture.Header, SafetensorsFixture.Data);
        var headerBytes = whole.Length - SafetensorsFixture.Data.Length;
        var random = new Random(4);
        var (refused, opened) = (0, 0);
        for (var round = 0; round < 3000; round++)
        {
            var damaged = whole.ToArray();
            for (var flips = random.Next(1, 4); flips > 0; flips--)
                damaged[random.Next(headerBytes)] ^= (byte)(1 << random.Next(8));
            _folder.Write("model.safetensors", damaged);
            try
            {
                using var checkpoint = Checkpoint.Open(_folder.FullPath);
                opened++;
                foreach (var name in checkpoint.Names)
                    ReadAll(checkpoint, name);
            }
            catch (ModelException e)
            {
                refused++;
                Assert.NotEmpty(e.Message);
            }
        }

        // The fuzzer reaches both sides: damage inside names is harmless, most other damage is not.
        Assert.True(refused > 1000 && opened > 10, $"{refused} refused, {opened} opened");
    }

    [Fact]
    public void A_folder_without_weights_says_what_is_looked_for() =>
        Assert.Contains("neither model.safetensors nor model.safetensors.index.json",
            Message(() => Checkpoint.Open(_folder.FullPath)), StringComparison.Ordinal);

    private static void ReadAll(Checkpoint checkpoint, string name)
    {
        var tensor = checkpoint.Get(name);
        tensor.CopyTo(new float[tensor.ElementCount]);
    }

    private void Write(string header, byte[] data) =>
        _folder.Write("model.safetensors", SafetensorsFixture.File(header, data));

    private static string Message(Action open) => Assert.Throws<ModelException>(open).Message;
}
