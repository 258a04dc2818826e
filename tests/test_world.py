from tests.world import World


async def test_rows_become_issued_certificates(world: World) -> None:
    approval = await world.approved(count=3)
    await world.issue()
    async with world.connection() as connection:
        states = await connection.fetch("select number, state from certificate order by number")
    assert [tuple(row) for row in states] == [(number, "issued") for number in approval.numbers]
