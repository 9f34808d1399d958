-- The tables of an older service that came with its later versions. Revision 0001 creates them; the
-- adoption of a database that lacks one creates that one, empty. A blank line ends a statement.
-- Foreign keys stand apart, since only they lock another table.

CREATE TYPE "EquipmentCategory" AS ENUM (
    'CAMERA', 'CCU', 'CAM_SWITCHER', 'VISION_SWITCHER', 'ROUTER', 'LED_PROCESSOR',
    'LED_TILE', 'PROJECTOR', 'RECORDER', 'MONITOR', 'CONVERTER'
);

CREATE TYPE "IoArchitecture" AS ENUM (
    'DIRECT', 'CARD_BASED'
);

CREATE TYPE "PortType" AS ENUM (
    'INPUT', 'OUTPUT'
);

CREATE TABLE cam_switchers (
    id text NOT NULL,
    production_id text NOT NULL,
    name text NOT NULL,
    manufacturer text,
    model text,
    inputs integer,
    outputs integer,
    note text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    last_modified_by text,
    synced_at timestamp(3),
    CONSTRAINT cam_switchers_pkey PRIMARY KEY (id)
);

ALTER TABLE cam_switchers
    ADD CONSTRAINT cam_switchers_production_id_fkey FOREIGN KEY (production_id)
    REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE;

CREATE INDEX cam_switchers_production_id_idx ON cam_switchers (production_id);

CREATE TABLE ip_addresses (
    id text NOT NULL,
    production_id text NOT NULL,
    ip text NOT NULL,
    device_name text NOT NULL,
    category text NOT NULL,
    subnet text,
    gateway text,
    note text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    last_modified_by text,
    CONSTRAINT ip_addresses_pkey PRIMARY KEY (id)
);

ALTER TABLE ip_addresses
    ADD CONSTRAINT ip_addresses_production_id_fkey FOREIGN KEY (production_id)
    REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE;

CREATE INDEX ip_addresses_production_id_idx ON ip_addresses (production_id);

CREATE UNIQUE INDEX ip_addresses_production_id_ip_key ON ip_addresses (production_id, ip);

CREATE TABLE led_screens (
    id text NOT NULL,
    production_id text NOT NULL,
    name text NOT NULL,
    manufacturer text,
    model text,
    h_res integer,
    v_res integer,
    rate double precision,
    note text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    last_modified_by text,
    synced_at timestamp(3),
    CONSTRAINT led_screens_pkey PRIMARY KEY (id)
);

ALTER TABLE led_screens
    ADD CONSTRAINT led_screens_production_id_fkey FOREIGN KEY (production_id)
    REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE;

CREATE INDEX led_screens_production_id_idx ON led_screens (production_id);

CREATE TABLE media_servers (
    id text NOT NULL,
    production_id text NOT NULL,
    name text NOT NULL,
    manufacturer text,
    model text,
    outputs integer,
    note text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    last_modified_by text,
    synced_at timestamp(3),
    CONSTRAINT media_servers_pkey PRIMARY KEY (id)
);

ALTER TABLE media_servers
    ADD CONSTRAINT media_servers_production_id_fkey FOREIGN KEY (production_id)
    REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE;

CREATE INDEX media_servers_production_id_idx ON media_servers (production_id);

CREATE TABLE projection_screens (
    id text NOT NULL,
    production_id text NOT NULL,
    name text NOT NULL,
    manufacturer text,
    model text,
    h_res integer,
    v_res integer,
    rate double precision,
    note text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    last_modified_by text,
    synced_at timestamp(3),
    CONSTRAINT projection_screens_pkey PRIMARY KEY (id)
);

ALTER TABLE projection_screens
    ADD CONSTRAINT projection_screens_production_id_fkey FOREIGN KEY (production_id)
    REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE;

CREATE INDEX projection_screens_production_id_idx ON projection_screens (production_id);

CREATE TABLE records (
    id text NOT NULL,
    production_id text NOT NULL,
    name text NOT NULL,
    manufacturer text,
    model text,
    format text,
    note text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    last_modified_by text,
    synced_at timestamp(3),
    CONSTRAINT records_pkey PRIMARY KEY (id)
);

ALTER TABLE records
    ADD CONSTRAINT records_production_id_fkey FOREIGN KEY (production_id)
    REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE;

CREATE INDEX records_production_id_idx ON records (production_id);

CREATE TABLE routers (
    id text NOT NULL,
    production_id text NOT NULL,
    name text NOT NULL,
    manufacturer text,
    model text,
    inputs integer,
    outputs integer,
    note text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    last_modified_by text,
    synced_at timestamp(3),
    CONSTRAINT routers_pkey PRIMARY KEY (id)
);

ALTER TABLE routers
    ADD CONSTRAINT routers_production_id_fkey FOREIGN KEY (production_id)
    REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE;

CREATE INDEX routers_production_id_idx ON routers (production_id);

CREATE TABLE streams (
    id text NOT NULL,
    production_id text NOT NULL,
    name text NOT NULL,
    platform text,
    url text,
    stream_key text,
    note text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    last_modified_by text,
    synced_at timestamp(3),
    CONSTRAINT streams_pkey PRIMARY KEY (id)
);

ALTER TABLE streams
    ADD CONSTRAINT streams_production_id_fkey FOREIGN KEY (production_id)
    REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE;

CREATE INDEX streams_production_id_idx ON streams (production_id);

CREATE TABLE vision_switchers (
    id text NOT NULL,
    production_id text NOT NULL,
    name text NOT NULL,
    manufacturer text,
    model text,
    inputs integer,
    outputs integer,
    mes integer,
    note text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    last_modified_by text,
    synced_at timestamp(3),
    CONSTRAINT vision_switchers_pkey PRIMARY KEY (id)
);

ALTER TABLE vision_switchers
    ADD CONSTRAINT vision_switchers_production_id_fkey FOREIGN KEY (production_id)
    REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE;

CREATE INDEX vision_switchers_production_id_idx ON vision_switchers (production_id);

CREATE TABLE equipment_specs (
    id text NOT NULL,
    category "EquipmentCategory" NOT NULL,
    manufacturer text NOT NULL,
    model text NOT NULL,
    io_architecture "IoArchitecture" NOT NULL,
    card_slots integer,
    format_by_io boolean NOT NULL DEFAULT true,
    is_secondary_device boolean NOT NULL DEFAULT false,
    device_formats jsonb,
    specs jsonb,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    synced_at timestamp(3),
    last_modified_by text,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    CONSTRAINT equipment_specs_pkey PRIMARY KEY (id)
);

CREATE INDEX equipment_specs_category_is_deleted_idx ON equipment_specs (category, is_deleted);

CREATE INDEX equipment_specs_is_secondary_device_idx ON equipment_specs (is_secondary_device);

CREATE TABLE equipment_cards (
    id text NOT NULL,
    equipment_id text NOT NULL,
    slot_number integer NOT NULL,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    CONSTRAINT equipment_cards_pkey PRIMARY KEY (id)
);

ALTER TABLE equipment_cards
    ADD CONSTRAINT equipment_cards_equipment_id_fkey FOREIGN KEY (equipment_id)
    REFERENCES equipment_specs(id) ON UPDATE CASCADE ON DELETE CASCADE;

CREATE UNIQUE INDEX equipment_cards_equipment_id_slot_number_key ON
    equipment_cards (equipment_id, slot_number);

CREATE TABLE equipment_card_io (
    id text NOT NULL,
    card_id text NOT NULL,
    port_type "PortType" NOT NULL,
    io_type text NOT NULL,
    label text,
    format text,
    port_index integer,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    CONSTRAINT equipment_card_io_pkey PRIMARY KEY (id)
);

ALTER TABLE equipment_card_io
    ADD CONSTRAINT equipment_card_io_card_id_fkey FOREIGN KEY (card_id)
    REFERENCES equipment_cards(id) ON UPDATE CASCADE ON DELETE CASCADE;

CREATE INDEX equipment_card_io_card_id_idx ON equipment_card_io (card_id);

CREATE TABLE equipment_io_ports (
    id text NOT NULL,
    equipment_id text NOT NULL,
    port_type "PortType" NOT NULL,
    io_type text NOT NULL,
    label text,
    format text,
    port_index integer,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    CONSTRAINT equipment_io_ports_pkey PRIMARY KEY (id)
);

ALTER TABLE equipment_io_ports
    ADD CONSTRAINT equipment_io_ports_equipment_id_fkey FOREIGN KEY (equipment_id)
    REFERENCES equipment_specs(id) ON UPDATE CASCADE ON DELETE CASCADE;

CREATE INDEX equipment_io_ports_equipment_id_idx ON equipment_io_ports (equipment_id);

CREATE TABLE connector_types (
    id text NOT NULL,
    name text NOT NULL,
    sort_order integer NOT NULL DEFAULT 0,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    CONSTRAINT connector_types_pkey PRIMARY KEY (id)
);

CREATE UNIQUE INDEX connector_types_name_key ON connector_types (name);

CREATE INDEX connector_types_sort_order_is_active_idx ON connector_types (sort_order, is_active);

CREATE TABLE frame_rates (
    id text NOT NULL,
    rate text NOT NULL,
    sort_order integer NOT NULL DEFAULT 0,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    CONSTRAINT frame_rates_pkey PRIMARY KEY (id)
);

CREATE UNIQUE INDEX frame_rates_rate_key ON frame_rates (rate);

CREATE INDEX frame_rates_sort_order_is_active_idx ON frame_rates (sort_order, is_active);

CREATE TABLE resolution_presets (
    id text NOT NULL,
    name text NOT NULL,
    sort_order integer NOT NULL DEFAULT 0,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    CONSTRAINT resolution_presets_pkey PRIMARY KEY (id)
);

CREATE UNIQUE INDEX resolution_presets_name_key ON resolution_presets (name);

CREATE INDEX resolution_presets_sort_order_is_active_idx ON
    resolution_presets (sort_order, is_active);

CREATE TABLE source_types (
    id text NOT NULL,
    name text NOT NULL,
    sort_order integer NOT NULL DEFAULT 0,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    CONSTRAINT source_types_pkey PRIMARY KEY (id)
);

CREATE UNIQUE INDEX source_types_name_key ON source_types (name);

CREATE INDEX source_types_sort_order_is_active_idx ON source_types (sort_order, is_active);

CREATE TABLE settings (
    id text NOT NULL,
    key text NOT NULL,
    value jsonb NOT NULL,
    category text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    CONSTRAINT settings_pkey PRIMARY KEY (id)
);

CREATE UNIQUE INDEX settings_key_key ON settings (key);
